"""One HTML page that holds a model, translates with it and shows what it attended to: offline, and without a request.

The page holds the program (`static/*.js`), the weights in base64, and the map of `attentio.view`. The same program runs
in node, which is how a page is compared with its model.
"""

import base64
import hashlib
import json
import re
import shutil
import subprocess
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, ClassVar, final

import numpy as np
import torch
from jinja2 import Environment, PackageLoader, StrictUndefined

from attentio.attention.registry import NORMALIZERS, SCORES, WINDOWS
from attentio.bundle import Bundle
from attentio.errors import ResourceError
from attentio.export.described import RANGES, side
from attentio.export.format import Answer, Expresses, Format, folded, kind_of, round_last_axis, tensors_of
from attentio.model.seq2seq import Seq2Seq
from attentio.model.settings import AttentionConfig
from attentio.runtime.files import write_text
from attentio.view.embed import static

# In the order of their imports: each name of a module is unique, so that all can stand in one script.
MODULES = (
    "text",
    "tokenizer",
    "wasm",
    "product",
    "attention",
    "cnn",
    "rnn",
    "transformer",
    "family",
    "search",
    "translator",
    "page",
)
_LEFT_OUT = re.compile(r"^import [^;]*;\n|^ *//.*\n|^ */\*\*(?s:.*?)\*/\n", re.MULTILINE)
_CHECK = Path(__file__).parent / "static" / "check.mjs"
_LONGEST_MESSAGE = 200
_TIMEOUT = 600  # seconds for one comparison


@final
class Html(Format):
    """A page for any browser."""

    name = "html"
    about = "one page that translates and shows its attention, offline"
    runtime = "a browser, or node"
    precisions = ("int8", "fp32")
    ending = ".html"
    expresses: ClassVar[Expresses] = Expresses(
        families=frozenset({"rnn", "cnn", "transformer"}),
        score=frozenset(SCORES),
        normalize=frozenset(NORMALIZERS),
        window=frozenset(WINDOWS),
    )

    def write(self, bundle: Bundle, path: Path, *, name: str, precision: str) -> None:
        write_text(path, page(bundle, name=name, precision=precision))

    def unavailable(self) -> str | None:
        return None if shutil.which("node") else "node is not installed"

    def run(self, path: Path, sentences: Sequence[str], *, beam: int) -> list[Answer]:
        """Return what the program of a page makes of sentences, run by node."""
        asked = json.dumps({"page": str(path), "sentences": list(sentences), "beam": beam})
        done = subprocess.run(
            ["node", str(_CHECK)],
            input=asked,
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=_TIMEOUT,
            check=False,
        )
        if done.returncode:
            told = " ".join(done.stderr.split())[:_LONGEST_MESSAGE] or "it said nothing"
            raise ResourceError(f"{path}: node could not run the page ({told}).", code="E_EXPORT_RUN", file=path)
        return [
            Answer(
                one["text"],
                one["score"],
                {name: np.asarray(layer, dtype=np.float32) for name, layer in one["weights"].items()},
            )
            for one in json.loads(done.stdout)
        ]


@cache
def program(name: str) -> str:
    """Return the text of a file of the page."""
    return files("attentio.export").joinpath("static", name).read_text(encoding="utf-8")


@cache
def script() -> str:
    """Return all modules of the page as one, without the imports between them and without comments."""
    return "\n".join(_LEFT_OUT.sub("", program(f"{name}.js")) for name in MODULES)


def page(bundle: Bundle, *, name: str, precision: str = "int8") -> str:
    """Return the page of a model. `precision`: "int8", one scale for each row, or "fp32"."""
    stored, weights = described(bundle, name=name, precision=precision)
    scripts = [f"\n{static('attention-map.js')}\n", f"\n{script()}"]
    style = program("page.css")
    environment = Environment(
        loader=PackageLoader("attentio.export", "templates"), autoescape=True, undefined=StrictUndefined
    )
    return environment.get_template("page.html.j2").render(
        title=name,
        scripts=scripts,
        hashes=" ".join(f"'{_hash(text)}'" for text in scripts),
        style=style,
        style_hash=_hash(style),
        model=json.dumps(stored, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c"),
        weights=base64.b64encode(weights).decode(),
    )


def described(bundle: Bundle, *, name: str, precision: str) -> tuple[dict[str, Any], bytes]:
    """Return what the program needs to know of a model as JSON, and the bytes of its weights."""
    model = folded(bundle)
    index, weights = packed(model, precision)
    architecture = bundle.architecture
    cross, own = architecture.attention, architecture.self_attention
    stored = {
        "name": name,
        "architecture": {
            "model": architecture.model.model_dump(),
            "attention": attention(cross, [cross.window]),
            "selfAttention": attention(own, [own.window]),
            "decoderSelfAttention": attention(
                own, ["causal"] if own.window in ("full", "causal") else ["causal", own.window]
            ),
        },
        "source": side(bundle.source),
        "target": side(bundle.target),
        "ranges": RANGES,
        "longestSource": bundle.longest_source,
        "placeholders": bundle.placeholders,
        "tensors": index,
    }
    return stored, weights


def attention(settings: AttentionConfig, windows: Sequence[str]) -> dict[str, Any]:
    """Return an attention as the program reads it."""
    return {
        "score": kind_of("score", settings.score),
        "normalize": kind_of("normalize", settings.normalize),
        "window": [kind_of("window", window) for window in windows],
        "heads": settings.num_heads,
    }


def packed(model: Seq2Seq, precision: str) -> tuple[list[dict[str, Any]], bytes]:
    """Return where each tensor stands, and all of them as bytes: 8 bits with scales, or 32-bit numbers."""
    content = bytearray()

    def put(tensor: torch.Tensor) -> int:
        content.extend(b"\0" * (-len(content) % 4))
        start = len(content)
        content.extend(tensor.contiguous().numpy().tobytes())
        return start

    places: dict[str, dict[str, Any]] = {}
    index: list[dict[str, Any]] = []
    for name, (first, tensor) in tensors_of(model).items():
        if first not in places:
            entry: dict[str, Any] = {"shape": list(tensor.shape) or [1]}
            if precision == "int8" and tensor.dim() > 1:
                held, scales = round_last_axis(tensor)
                entry |= {"at": put(held), "scales": put(scales)}
            else:
                entry |= {"at": put(tensor.float())}
            places[first] = entry
        index.append({"name": name, **places[first]})
    return index, bytes(content)


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
