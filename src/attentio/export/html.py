"""A page that translates with the models it holds, and shows what they attended to: offline, without a request.

The page holds the program (`static/*.js`), the weights in base64, and the map of `attentio.view`. A site is the same
page with its parts in files. The program also runs in node, which is how it is compared with a model.
"""

import base64
import json
import re
import shutil
import subprocess
import tempfile
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from functools import cache, partial
from html import unescape
from pathlib import Path
from typing import Any, final

import numpy as np
import torch

from attentio.errors import ResourceError
from attentio.export.described import RANGES, side
from attentio.export.format import Answer, Format, Named, folded, kind_of, round_last_axis, tensors_of
from attentio.model.seq2seq import Seq2Seq
from attentio.model.settings import AttentionConfig
from attentio.runtime.files import write_text
from attentio.view.embed import script_hash, script_json, static, template

# In the order of their imports: each name of a module is unique, so that all can stand in one script.
MODULES = (
    *("text", "tokenizer", "wasm", "product", "attention", "cnn", "rnn", "transformer", "family"),
    *("search", "translator", "inline", "form", "page"),
)
_LEFT_OUT = re.compile(r"^import [^;]*;\n|^ *//.*\n|^ */\*\*(?s:.*?)\*/\n", re.MULTILINE)
_json = partial(script_json, ensure_ascii=False)
_STATIC = Path(__file__).parent / "static"
_BROWSERS = ("chromium", "chromium-browser", "google-chrome")
_LONGEST_MESSAGE = 200
_TIMEOUT = 600  # seconds for one comparison


class Program(Format):
    """What formats have in common whose runtime is the program of the page: in node, else in Chromium."""

    runtime = "a browser. Compared by node or Chromium"
    precisions = ("int8", "fp32")
    many = True

    @abstractmethod
    def parts(self, path: Path, number: int) -> tuple[str, str, str]:
        """Return the program, the model as JSON, and its weights in base64, read from what was written."""

    def unavailable(self) -> str | None:
        return None if shutil.which("node") or _browser() else "neither node nor Chromium is installed"

    def run(self, path: Path, sentences: Sequence[str], *, beam: int, number: int = 0) -> list[Answer]:
        try:
            names = ("program", "model", "weights")
            asked = dict(zip(names, self.parts(path, number), strict=True))
            run = _by_node if shutil.which("node") else _by_chromium
            found = json.loads(run({**asked, "sentences": list(sentences), "beam": beam}))
        except (ValueError, OSError, subprocess.SubprocessError) as error:
            told = " ".join(str(error).split())[:_LONGEST_MESSAGE]
            raise ResourceError(f"{path}: the page does not run ({told}).", code="E_EXPORT_RUN", file=path) from None
        return [
            Answer(one["text"], one["score"], {name: np.asarray(w, np.float32) for name, w in one["weights"].items()})
            for one in found
        ]


@final
class Html(Program):
    """A page for any browser, with everything in it."""

    name = "html"
    about = "one page that translates and shows its attention, offline"

    def write(self, models: Sequence[Named], path: Path, *, precision: str) -> None:
        write_text(path, page(models, precision=precision))

    def parts(self, path: Path, number: int) -> tuple[str, str, str]:
        text = path.read_text(encoding="utf-8")
        return _inside(text, "program"), _inside(text, f"model-{number}"), _inside(text, f"weights-{number}")


@final
class Site(Program):
    """A folder for any web server: a page that loads a model when it is chosen."""

    name = "site"
    about = "a folder of files for a web server: the page loads a model when it is chosen"
    mark = "model-0.json"

    def write(self, models: Sequence[Named], path: Path, *, precision: str) -> None:
        (path / "index.html").write_text(_rendered(models, stored=[], scripts=[]), encoding="utf-8")
        (path / "attention-map.js").write_text(static("attention-map.js"), encoding="utf-8")
        (path / "program.js").write_text(script(fetched=True), encoding="utf-8")
        (path / "page.css").write_text(style_sheet(), encoding="utf-8")
        for number, model in enumerate(models):
            described_as, weights = described(model, precision=precision)
            (path / f"model-{number}.json").write_text(_json(described_as), encoding="utf-8")
            (path / f"model-{number}.bin").write_bytes(weights)

    def parts(self, path: Path, number: int) -> tuple[str, str, str]:
        code, model = ((path / name).read_text(encoding="utf-8") for name in ("program.js", f"model-{number}.json"))
        return code, model, base64.b64encode((path / f"model-{number}.bin").read_bytes()).decode()


def _inside(text: str, name: str) -> str:
    """Return what stands in an element of a page. Raises ValueError where it is not there."""
    _, found, rest = text.partition(f' id="{name}">')
    content, ended, _ = rest.partition("</script>")
    if not (found and ended):
        raise ValueError(f"the page has no {name}")
    return content


def _by_node(asked: Mapping[str, Any]) -> str:
    done = subprocess.run(
        ["node", str(_STATIC / "check.mjs")],
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=_TIMEOUT,
        check=False,
    )
    if done.returncode:
        raise ValueError(done.stderr or "node said nothing")
    return done.stdout


def _by_chromium(asked: Mapping[str, Any]) -> str:
    """Run the program in a page of its own, which writes the answers into itself."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "check.html"
        held = f'<script type="application/json" id="asked">{_json(asked)}</script>'
        check = f'<script type="module">{program("check-page.js")}</script>'
        text = f'<!doctype html><meta charset="utf-8"><body>{held}{check}'
        path.write_text(text, encoding="utf-8")
        # A page that it opens itself, without a network, needs no sandbox, and without rights there is none.
        options = ["headless", "no-sandbox", "disable-gpu", "dump-dom", f"user-data-dir={folder}/profile"]
        options.append(f"virtual-time-budget={1000 * _TIMEOUT}")
        command = [str(_browser()), *(f"--{option}" for option in options), path.as_uri()]
        done = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=_TIMEOUT, check=False)
    found = re.search(r'<pre id="(answers|fault)">(.*?)</pre>', done.stdout, re.DOTALL)
    if found is None or found[1] == "fault":
        raise ValueError(unescape(found[2]) if found else "Chromium said nothing")
    return unescape(found[2])


def _browser() -> str | None:
    return next((path for name in _BROWSERS if (path := shutil.which(name))), None)


@cache
def program(name: str) -> str:
    """Return the text of a file of the page. What it has in common with the live page stands there."""
    own = _STATIC / name
    return own.read_text(encoding="utf-8") if own.exists() else static(name)


def style_sheet() -> str:
    """Return the style of the page: what it has in common with the live page, and its own."""
    return program("form.css") + program("page.css")


@cache
def script(*, fetched: bool = False) -> str:
    """Return all modules of the page as one, without the imports between them and without comments.

    fetched: models are files beside the page, and stand in the page otherwise.
    """
    names = ["fetched" if fetched and name == "inline" else name for name in MODULES]
    return "\n".join(_LEFT_OUT.sub("", program(f"{name}.js")) for name in names)


def page(models: Sequence[Named], *, precision: str = "int8") -> str:
    """Return the page of models. `precision`: "int8", one scale for each row, or "fp32"."""
    scripts = [f"\n{static('attention-map.js')}\n", f"\n{script()}"]
    held = [described(model, precision=precision) for model in models]
    stored = [(_json(described_as), base64.b64encode(weights).decode()) for described_as, weights in held]
    return _rendered(models, stored=stored, scripts=scripts)


def _rendered(models: Sequence[Named], *, stored: Sequence[tuple[str, str]], scripts: Sequence[str]) -> str:
    """Return the page with scripts and models in it, or, without scripts, with files beside it."""
    directions = [
        {"name": name, "source": bundle.source.language, "target": bundle.target.language} for name, bundle in models
    ]
    return template("attentio.export", "page.html.j2").render(
        title=", ".join(name for name, _ in models),
        directions=_json(directions),
        stored=stored,
        scripts=scripts,
        hashes=" ".join(f"'{script_hash(text)}'" for text in scripts),
        style=style_sheet(),
        style_hash=script_hash(style_sheet()),
    )


def described(named: Named, *, precision: str) -> tuple[dict[str, Any], bytes]:
    """Return what the program needs to know of a model as JSON, and the bytes of its weights."""
    name, bundle = named
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
