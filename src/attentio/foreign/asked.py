"""What is said of a foreign model beside its files: languages and tokenizers, and how texts become its tokens."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, cast

from torch import Tensor

from attentio.bundle import Architecture, Bundle, Side
from attentio.errors import ModelError, UsageError
from attentio.runtime.files import read_json
from attentio.text.numbered import NumberedTokenizer, SpaceTokenizer
from attentio.text.tokenizer import CharTokenizer, Tokenizer

LONGEST = 256  # tokens of a sentence, where a model does not say what it has seen
_BESIDE = {  # names of SentencePiece's files in model folders, by side
    "source": ("source.spm", "source.model", "src.spm", "sentencepiece.model", "spm.model"),
    "target": ("target.spm", "target.model", "tgt.spm", "sentencepiece.model", "spm.model"),
}


class Asked(NamedTuple):
    """What the user says. Empty where nothing is said.

    source_language, target_language: codes. source_spm, target_spm: files of SentencePiece. before: the token that
    tells a model of several languages what to write.
    """

    source_language: str | None = None
    target_language: str | None = None
    source_spm: Path | None = None
    target_spm: Path | None = None
    before: str = ""

    def bundle(
        self,
        folder: Path,
        architecture: Architecture,
        weights: Mapping[str, Tensor],
        source: Sequence[str],
        target: Sequence[str],
        *,
        longest: int = LONGEST,
    ) -> Bundle:
        """Return a model whose vocabularies are `source` and `target`, with tokenizers for them."""
        given = self.source_spm or _beside(folder, "source"), self.target_spm or _beside(folder, "target")
        reads = Side(_tokenizer(source, given[0], self.before), language=self.source_language)
        writes = Side(_tokenizer(target, given[1], ""), language=self.target_language)
        return Bundle(architecture, weights, reads, writes, longest, {"imported": folder.name})


def _beside(folder: Path, side: str) -> Path | None:
    folder = folder if folder.is_dir() else folder.parent
    return next((folder / name for name in _BESIDE[side] if (folder / name).is_file()), None)


def _tokenizer(tokens: Sequence[str], spm: Path | None, before: str) -> Tokenizer:
    """Return what cuts text into these tokens: SentencePiece, else characters, else what stands between spaces."""
    if spm is None:
        if before:
            raise UsageError("--before is for models with SentencePiece.", hint="Give --source-spm FILE.")
        return CharTokenizer(tokens) if all(len(token) == 1 for token in tokens[4:]) else SpaceTokenizer(tokens)
    try:
        content = spm.read_bytes()
    except OSError:
        raise ModelError(f"{spm}: no such tokenizer file.", file=spm, code="E_MODEL_MISSING") from None
    if before and before not in tokens:
        known = [token for token in tokens if token.startswith(">>")]
        hint = f"It has {', '.join(known[:8])}{' …' if known[8:] else ''}." if known else "It writes one language."
        raise UsageError(f"the model has no token {before!r}.", hint=hint)
    try:
        return NumberedTokenizer(tokens, content, before=before)
    except ModelError as error:
        raise ModelError(f"{spm}: {error.message}", file=spm, code=error.code) from None


def read_object(path: Path) -> dict[str, Any]:
    """Return the object of a JSON file. Raises ModelError where it is missing, or something else."""
    if not path.is_file():
        raise ModelError(f"{path}: no such file.", code="E_MODEL_MISSING", file=path)
    found = read_json(path)
    if not isinstance(found, dict):
        raise ModelError(f"{path} is not JSON of an object.", code="E_MODEL_CORRUPT", file=path)
    return cast(dict[str, Any], found)


def read_lines(path: Path) -> list[str]:
    """Return the lines of a vocabulary, one token each. Raises ModelError where it is not UTF-8."""
    try:
        return path.read_text(encoding="utf-8").removesuffix("\n").split("\n")
    except UnicodeDecodeError as error:
        raise ModelError(f"{path} is not UTF-8 ({error.reason}).", code="E_MODEL_CORRUPT", file=path) from None
