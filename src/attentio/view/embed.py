"""Attention maps for browsers: one HTML file that needs nothing else, and a trace in a notebook.

The map is the element `<attention-map>` of `static/attention-map.js`. Inside it stands a plain table, which is shown
where scripts do not run. Nothing here makes a request, and neither does what it writes.
"""

import base64
import hashlib
import json
from collections.abc import Sequence
from dataclasses import fields as dataclass_fields
from functools import cache
from html import escape
from importlib.resources import files
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from attentio.text.words import word_spans
from attentio.trace import AttentionTrace
from attentio.view.label import label

if TYPE_CHECKING:
    from jinja2 import Template

KINDS = ("weights", "encoder_self", "decoder_self")
_FRAME = 620  # height of a map in a notebook, in pixels


@cache
def static(name: str) -> str:
    """Return the text of a file that browsers load."""
    return files("attentio.view").joinpath("static", name).read_text(encoding="utf-8")


def packed(trace: AttentionTrace, *, name: str = "") -> dict[str, Any]:
    """Return a trace as the element reads it: the published fields, weights rounded to float16, and the words.

    name: what the map is called, such as the model it comes from.
    """
    fields: dict[str, Any] = {kind: {k: _half(v) for k, v in getattr(trace, kind).items()} for kind in KINDS}
    fields |= {each.name: getattr(trace, each.name) for each in dataclass_fields(trace) if each.name not in KINDS}
    fields["token_log_probs"] = [float(str(value)) for value in trace.token_log_probs]
    fields["words"] = {"source": word_spans(trace.source), "target": word_spans(trace.target)}
    return fields | ({"name": name} if name else {})


def document(traces: Sequence[Sequence[AttentionTrace]], *, names: Sequence[str] = (), heads: bool = False) -> str:
    """Return one HTML page of maps that needs nothing else: no network, no file beside it.

    traces: for each sentence, the trace of each model. Models stand side by side, and share a cursor.
    names: the models, where there are several.
    heads: begin with the small pictures of all layers and heads.
    """
    named = list(names) or [""] * max(map(len, traces), default=0)
    sentences = [
        [_shown(trace, name, name=name, text=label(trace.target)) for name, trace in zip(named, row, strict=True)]
        for row in traces
    ]
    return _page(
        "document.html.j2",
        ("attention-map.js", "linked.js"),
        heads=heads,
        title=" | ".join(label(row[0].source) for row in traces),
        sentences=[(label(row[0].source), maps) for row, maps in zip(traces, sentences, strict=True)],
    )


class OptionMaps(NamedTuple):
    """One option of a kind: its meaning, the values tried, which of them is the one it begins with, and the traces."""

    name: str
    meaning: str
    tried: Sequence[str]
    at: int
    traces: Sequence[AttentionTrace]


def kind_document(
    title: str, facts: Sequence[tuple[str, str]], trace: AttentionTrace, options: Sequence[OptionMaps]
) -> str:
    """Return one HTML page about a kind of attention, with a slider for each option. It needs nothing else.

    facts: what the kind says of itself, by name. trace: its map as named.
    """
    maps = [("", title, trace)]
    for option in options:
        named = zip(option.tried, option.traces, strict=True)
        maps += [(f"{option.name}={value}", f"{option.name} = {value}", each) for value, each in named]
    return _page(
        "kind.html.j2",
        ("attention-map.js", "sliders.js"),
        title=title,
        facts=facts,
        options=[option._asdict() for option in options],
        maps=[
            {"key": key, "name": name, "data": script_json(packed(each)), "table": table(each)}
            for key, name, each in maps
        ],
    )


def _shown(trace: AttentionTrace, called: str = "", **more: str) -> dict[str, str]:
    """Return what a template shows of a trace: the data of its map, and the table beneath."""
    return {"data": script_json(packed(trace, name=called)), "table": table(trace), **more}


def _page(name: str, scripts: Sequence[str], **fields: Any) -> str:
    """Return a page that holds its scripts and its style, and may load nothing."""
    script = "".join(f"\n{static(each)}" for each in scripts)
    hashes = {"script_hash": script_hash(script), "style_hash": script_hash(style := static("document.css"))}
    return template("attentio.view", name).render(**fields, script=script, style=style, **hashes)


def template(package: str, name: str) -> "Template":
    """Return a template of pages in a package."""
    from jinja2 import Environment, PackageLoader, StrictUndefined  # only where a page is written

    loader = PackageLoader(package, "templates")
    environment = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    return environment.get_template(name)


def notebook(trace: AttentionTrace) -> str:
    """Return a trace for a notebook: the map in a frame of its own, and a table where scripts are removed.

    The frame keeps the page of the notebook and the map from disturbing each other.
    """
    frame = (
        f'<iframe title="{escape(f"Attention: {label(trace.source)}")}" sandbox="allow-scripts allow-downloads" '
        f'style="width: 100%; height: {_FRAME}px; border: 0" srcdoc="{escape(document([[trace]]))}"></iframe>'
    )
    summary = escape(f"{label(trace.source)} → {label(trace.target)}")
    return f"{frame}<details><summary>{summary}</summary>{table(trace)}</details>"


def _half(weights: NDArray[np.float32]) -> dict[str, object]:
    content = weights.astype("<f2").tobytes()
    return {"shape": weights.shape, "float16": base64.b64encode(content).decode()}


def script_json(value: object, *, ensure_ascii: bool = True) -> str:
    """Return JSON that may stand in a script element: no text of it can end the element."""
    return json.dumps(value, ensure_ascii=ensure_ascii, separators=(",", ":")).replace("<", "\\u003c")


def script_hash(text: str) -> str:
    """Return the hash of a script or style, by which a page allows it."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def table(trace: AttentionTrace) -> str:
    """Return the last layer between words as a table, for readers without scripts."""
    words = trace.words()
    matrix = words.matrix(words.layers[-1])
    head = "".join(f'<th scope="col">{escape(label(token))}</th>' for token in words.source_tokens)
    rows = "".join(
        f'<tr><th scope="row">{escape(label(token))}</th>{"".join(map(_cell, weights))}</tr>'
        for token, weights in zip(words.target_tokens, matrix.tolist(), strict=True)
    )
    caption = escape(f"{label(trace.source)} → {label(trace.target)} ({words.layers[-1]}, mean of all heads, percent)")
    return (
        f"<table><caption>{caption}</caption><thead><tr><td></td>{head}</tr></thead>"
        f"<tbody>{rows}</tbody></table>"
    )  # fmt: skip


def _cell(weight: float) -> str:
    return f"<td>{round(100 * weight) or ''}</td>"
