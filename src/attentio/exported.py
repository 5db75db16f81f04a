"""An exported model: a folder with graphs, tokenizers and cleaners, and a manifest. It is opened without torch.

It stands where a `Bundle` stands, for a translator. `attentio export --to onnx` writes it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, Self

from attentio import __version__
from attentio.errors import ModelError, UsageError
from attentio.model.graphs import ENCODER, STEP, GraphModel
from attentio.runtime.sealed import MANIFEST, check_format, read_manifest, seal, verify
from attentio.text.side import SIDES, Side

FORMAT = 1  # of what `Exported.save` writes
_HINT = "Write it again with `attentio export --to onnx`."
_TEXT = ("max_length", "longest_source", "placeholders")


@dataclass(frozen=True)
class Exported:
    """What a translator needs of a model whose weights stand in graphs. The fields are those of a `Bundle`."""

    folder: Path
    source: Side
    target: Side
    max_length: int
    longest_source: int
    placeholders: bool
    metadata: Mapping[str, Any]

    def save(self) -> None:
        """Write what belongs beside the graphs into their folder, and the manifest of all."""
        sides = zip(SIDES, (self.source, self.target), strict=True)
        described = {name: side.save(self.folder / f"{name}.tokenizer") for name, side in sides}
        text = {name: getattr(self, name) for name in _TEXT}
        metadata = {**self.metadata, "version": __version__}
        seal(self.folder, {"exported": FORMAT, **described, **text, "metadata": metadata})

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read the folder. Raises ModelError when it is damaged, altered or of a newer format."""
        folder = Path(path)
        manifest = read_manifest(folder)
        unnamed = "is not that of an exported model"
        check_format(folder, manifest.get("exported"), FORMAT, unnamed=unnamed, hint=_HINT)
        verify(folder, manifest, hint=_HINT)
        try:
            source, target = (Side.load(folder / f"{name}.tokenizer", manifest[name]) for name in SIDES)
            return cls(folder, source, target, **{name: manifest[name] for name in (*_TEXT, "metadata")})
        except (KeyError, TypeError, ValueError) as error:
            message = f"{folder / MANIFEST} cannot be understood ({type(error).__name__}: {error})."
            raise ModelError(message, hint=_HINT, code="E_MODEL_CORRUPT", file=folder) from None

    @property
    def num_parameters(self) -> int:
        """The number of weights that were trained."""
        return int(self.metadata.get("parameters", 0))

    def ready(self, device: str = "auto", *, precision: str = "fp32") -> GraphModel:
        """Return the graphs, ready to run. Raises UsageError for what they cannot be asked."""
        if device not in ("auto", "cpu"):
            raise UsageError(f"an exported model runs on the CPU, not on {device!r}.", hint="Give the run itself.")
        if precision not in ("auto", "fp32"):
            raise UsageError(
                f"an exported model computes in fp32, not in {precision!r}.",
                hint="Leave --precision out.",
            )
        return GraphModel.load(self.folder)

    def build(self) -> NoReturn:
        """Raise UsageError: graphs have no gradients."""
        raise UsageError(f"{self.folder} has no gradients: it is an exported model.", hint="Give the run itself.")


def is_exported(folder: Path) -> bool:
    """Return whether a folder holds graphs, whole or not."""
    return (folder / ENCODER).exists() or (folder / STEP).exists()
