"""Figures of matplotlib: the extra they need, and one way to write them as SVG.

Nothing of matplotlib's global state is used or changed: no pyplot, settings only inside a context. Importing this
module needs the extra `plot`.
"""

import io
import re
import warnings
from collections.abc import Generator
from contextlib import contextmanager
from html import escape
from typing import Any, cast

from attentio.errors import MissingExtra

try:
    import matplotlib
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    if matplotlib.__version_info__[:2] < (3, 11):  # older versions miss most fonts of a .ttc collection
        raise ImportError(f"matplotlib {matplotlib.__version__} is older than 3.11")
except ImportError as error:
    raise MissingExtra(f"pictures need matplotlib ({error}).", hint="pip install 'attentio[plot]'") from error

__all__ = ["BASE_FONT", "Axes", "Figure", "settings", "svg"]

BASE_FONT = "DejaVu Sans"
"""The family that comes with matplotlib: Latin, Greek, Cyrillic and many signs, no Han."""


@contextmanager
def settings(**values: object) -> Generator[None]:
    """Set matplotlib's settings for a while: text is never a formula, SVG keeps text as text and is reproducible."""
    ours = {
        "text.parse_math": False,
        "text.usetex": False,
        "svg.fonttype": "none",
        "svg.hashsalt": "attentio",
        "font.sans-serif": [BASE_FONT],
        **{key.replace("__", "."): value for key, value in values.items()},
    }
    with matplotlib.rc_context(cast("Any", ours)), warnings.catch_warnings():
        # Callers report missing characters once. Matplotlib would warn for each, each time.
        warnings.filterwarnings("ignore", r"Glyph \d+ .* missing from font", UserWarning)
        # Where labels leave no room, axes are drawn without the layout. That is no reason to stop.
        warnings.filterwarnings("ignore", message="constrained_layout not applied")
        yield


def svg(figure: Figure, title: str, description: str, **options: Any) -> str:
    """Return the figure as an SVG element with a title and a description, the same text for the same figure.

    options: of matplotlib's `savefig`. Call it inside `settings`.
    """
    file = io.StringIO()
    nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    figure.savefig(file, format="svg", metadata=nothing, **options)
    text = file.getvalue()
    element = re.sub(r"\s*<defs>\s*<style.*?</style>\s*</defs>", "", text[text.index("<svg") :], count=1, flags=re.S)
    start, end, rest = element.partition(">")
    told = f"\n <title>{escape(title)}</title>\n <desc>{escape(description)}</desc>"
    return f'{start} role="img" stroke-linejoin="round"{end}{told}{rest}'
