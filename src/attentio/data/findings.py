"""A finding: what is wrong, the evidence for it, and what to type."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field


@dataclass(frozen=True)
class Finding:
    """A symptom that was found.

    symptom: its stable name, for scripts. what: one sentence for people. evidence: figures by name.
    examples: lines that show it. remedy: what to do, with what to type.
    """

    symptom: str
    what: str
    remedy: str
    evidence: Mapping[str, float | int | str] = field(default_factory=dict)
    examples: Sequence[str] = ()

    def as_dict(self) -> dict[str, object]:
        """Return the finding as the stable object that `--json` prints."""
        return asdict(self)

    def lines(self) -> list[str]:
        """Return the finding for people: what, examples, remedy."""
        return [f"{self.symptom}: {self.what}", *(f"  e.g. {each}" for each in self.examples), f"  → {self.remedy}"]
