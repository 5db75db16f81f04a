"""What came of a comparison, and the files that tell it."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from attentio import __version__
from attentio.experiment.folder import write, write_json
from attentio.experiment.page import SentenceMaps, page
from attentio.experiment.statistics import Cell, Comparison


@dataclass
class Outcome:
    """A comparison with what surrounds it. status: the exit status, that of the first failure."""

    comparison: Comparison
    axes: Sequence[str]
    facts: dict[str, str]
    maps: list[SentenceMaps]
    notes: list[str] = field(default_factory=list[str])
    status: int = 0

    def as_dict(self) -> dict[str, Any]:
        """The outcome as the stable object that `--json` prints."""
        facts = {"schema": 1, "version": __version__, "axes": list(self.axes), "facts": self.facts}
        return {**facts, **self.comparison.as_dict()}

    def write(self, folder: Path) -> None:
        """Writes compare.json, compare.csv and compare.html. Raises ResourceError when that cannot be."""
        write_json(folder / "compare.json", self.as_dict())
        write(folder / "compare.csv", _as_csv(self))
        write(folder / "compare.html", page(self.comparison, self.axes, self.facts, self.maps))


def _as_csv(outcome: Outcome) -> str:
    """A row for each cell and test set."""
    text = io.StringIO()
    rows = [row for cell in outcome.comparison.cells for row in _rows(cell, outcome.axes)]
    writer = csv.DictWriter(text, list(max(rows, key=len)), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _rows(cell: Cell, axes: Sequence[str]) -> list[dict[str, object]]:
    """All columns in every row; what was not measured is empty."""
    rows: list[dict[str, object]] = []
    for name, result in cell.tests.items() or {"": None}.items():
        row: dict[str, object] = {"cell": cell.name, **{key: cell.settings[key] for key in axes}}
        row |= {"test": name, "seeds": len(cell.measured), "failed": len(cell.runs) - len(cell.measured)}
        for metric in ("chrF2", "BLEU"):
            score = result.scores[metric] if result else None
            found = result.differences.get(metric) if result else None
            for key in ("value", "low", "high"):
                row[metric if key == "value" else f"{metric}_{key}"] = getattr(score, key, None)
            for key in ("difference", "low", "high", "p_value", "corrected"):
                row[f"{metric}_{key}" if key == "difference" else f"{metric}_difference_{key}"] = getattr(
                    found, key, None
                )
        for key in ("error_rate", "entropy", "coverage", "monotonicity"):
            row[key] = getattr(getattr(result, key, None), "mean", None)
        for key in (
            *("parameters", "steps", "training_seconds", "tokens_per_second", "sentences_per_second", "memory_bytes"),
        ):
            row[key] = getattr(getattr(cell, key), "mean", None)
        rows.append({**row, "also_differs": "; ".join(cell.also_differs)})
    return rows
