"""A package for Argos Translate and LibreTranslate: a zip with a model of CTranslate2 and one SentencePiece model.

Argos cuts the source with that SentencePiece model, and joins the target's tokens with it, too. It hides no numbers
behind placeholders and mends nothing, so that it is compared with our search alone.
"""

import json
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, cast, final

import sentencepiece

from attentio.bundle import Bundle
from attentio.engines.ctranslate2 import opened, translate, write_model
from attentio.errors import ModelError, ResourceError, UsageError
from attentio.export.ctranslate2 import Searched
from attentio.export.format import Answer, Named
from attentio.serve.languages import canonical, name_of
from attentio.text.numbered import NumberedTokenizer
from attentio.text.special import EOS_TOKEN
from attentio.text.tokenizer import SentencePieceTokenizer, Tokenizer

_CODES = {"zh-Hans": "zh", "zh-Hant": "zt", "pt-BR": "pb"}  # what Argos calls languages
_VERSION = "1.0"
_FILE = "translate-{}_{}.argosmodel"
_EARLIEST = (1980, 1, 1, 0, 0, 0)  # of a zip: the same model gives the same package
_README = """# {name}

{source} to {target}, trained with Attentio. Install it with Argos Translate:

    python -c "from argostranslate import package; package.install_from_path('{file}')"
"""


@final
class Argos(Searched):
    """An `.argosmodel`, which Argos Translate installs and LibreTranslate serves."""

    name = "argos"
    about = "a package for Argos Translate and LibreTranslate"
    runtime = "Argos Translate, by CTranslate2. Compared by CTranslate2"
    raw: ClassVar[bool] = True

    def refusals(self, bundle: Bundle) -> list[str]:
        found = super().refusals(bundle)
        source, target = bundle.source.tokenizer, bundle.target.tokenizer
        if _model(source) is None:
            found.append(_named("source", source))
        if target.kind in ("word", "space"):  # tokens are joined without spaces
            found.append(_named("target", target))
        return found

    def notes(self, bundle: Bundle) -> list[str]:
        if not bundle.placeholders:
            return []
        return [
            "Argos hides no numbers and URLs, and this model learned with them hidden. Expect wrong ones, or train it "
            "with -o data.placeholders=false."
        ]

    def write(self, models: Sequence[Named], path: Path, *, precision: str) -> None:
        name, bundle = models[0]
        codes = [_code(side.language, which) for which, side in (("source", bundle.source), ("target", bundle.target))]
        names = [name_of(canonical(str(side.language))) for side in (bundle.source, bundle.target)]
        folder = f"translate-{codes[0]}_{codes[1]}-{_VERSION.replace('.', '_')}"
        metadata = {
            "package_version": _VERSION,
            "argos_version": "1.9",
            "from_code": codes[0],
            "from_name": names[0],
            "to_code": codes[1],
            "to_name": names[1],
        }
        readme = _README.format(name=name, source=names[0], target=names[1], file=_FILE.format(*codes))
        with tempfile.TemporaryDirectory() as place, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as package:
            write_model(bundle, Path(place), precision=precision)
            contents = {f"model/{file.name}": file.read_bytes() for file in sorted(Path(place).iterdir())}
            contents["sentencepiece.model"] = cast(bytes, _model(bundle.source.tokenizer))
            contents["metadata.json"] = json.dumps(metadata, indent=2).encode()
            contents["README.md"] = readme.encode()
            for inside, content in contents.items():
                entry = zipfile.ZipInfo(f"{folder}/{inside}", _EARLIEST)
                entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
                package.writestr(entry, content)

    def run(self, path: Path, sentences: Sequence[str], *, beam: int, number: int = 0) -> list[Answer]:
        """Return what Argos makes of sentences, but for the settings of its search."""
        return _answers(path, sentences, beam, precision="stored")

    def run_in_32_bits(self, path: Path, sentences: Sequence[str], *, beam: int) -> list[Answer] | None:
        """Return the same where CTranslate2 computes with 32 bits."""
        return _answers(path, sentences, beam, precision="fp32")


def _named(side: str, tokenizer: Tokenizer) -> str:
    lowered = " that reads lower case" if isinstance(tokenizer, SentencePieceTokenizer) else ""
    return f"a {side} tokenizer of the kind {tokenizer.kind!r}{lowered}"


def _model(tokenizer: Tokenizer) -> bytes | None:
    """Return the SentencePiece model that alone makes tokens of a text, None where there is none."""
    if isinstance(tokenizer, SentencePieceTokenizer) and not tokenizer.lowercase:
        return tokenizer.model
    return tokenizer.model if isinstance(tokenizer, NumberedTokenizer) and not tokenizer.before else None


def _code(language: str | None, side: str) -> str:
    if language is None:
        raise UsageError(
            f"an Argos package names its languages, and the {side} language of this model is not known.",
            hint="Train it, or import it, with --source-language and --target-language.",
        )
    code = canonical(language)
    return _CODES.get(code, code)


def _answers(path: Path, sentences: Sequence[str], beam: int, *, precision: str) -> list[Answer]:
    """Do what Argos Translate does with a package."""
    try:
        with tempfile.TemporaryDirectory() as place, zipfile.ZipFile(path) as package:
            package.extractall(place)
            (folder,) = Path(place).iterdir()
            processor = cast(Any, sentencepiece.SentencePieceProcessor)(model_file=str(folder / "sentencepiece.model"))
            engine = opened(folder / "model", precision=precision)
    except (OSError, ValueError, RuntimeError, zipfile.BadZipFile, ModelError) as error:
        said = " ".join(str(error).split())
        raise ResourceError(f"{path}: the package does not run ({said}).", code="E_EXPORT_RUN", file=path) from None
    found: list[Answer] = []
    for sentence in sentences:
        tokens = processor.encode(sentence, out_type=str)
        longest = 3 * len(tokens) + 10
        ((hypotheses, scores), *_) = translate(engine, [tokens], beam=beam, length_penalty=1.0, max_length=longest)
        written = [token for token in hypotheses[0] if token != EOS_TOKEN]
        text = processor.decode_pieces(written).replace("\u2581", " ").replace("_", " ")
        found.append(Answer(text.removeprefix(" "), scores[0], {}))
    return found
