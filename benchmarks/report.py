"""What a benchmark found, as tables on the screen and as a dated file."""

import argparse
import datetime
import json
import os
import re
import sys
from pathlib import Path
from typing import Any, NamedTuple

RESULTS = Path(__file__).resolve().parent / "results"


class Table(NamedTuple):
    """Rows of text under named columns, with the figures behind them and what must be known to read them."""

    title: str
    columns: tuple[str, ...]
    rows: list[tuple[str, ...]]
    samples: dict[str, Any]
    notes: str = ""

    def markdown(self) -> list[str]:
        """The lines of the table."""
        lines = [f"## {self.title}", "", *([self.notes, ""] if self.notes else [])]
        lines += [f"| {' | '.join(self.columns)} |", "|---" * len(self.columns) + "|"]
        return lines + [f"| {' | '.join(row)} |" for row in self.rows]


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options that every benchmark has."""
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1, help="of every contestant")
    parser.add_argument("--write", action="store_true", help="keep the figures in benchmarks/results, under the date")


def publish(name: str, tables: list[Table], arguments: argparse.Namespace) -> None:
    """Prints the tables; with --write also keeps them, and the figures behind them, as NAME under today's date."""
    import torch
    from machine import describe_machine

    torch.set_num_threads(arguments.threads)
    machine = describe_machine()
    today = datetime.datetime.now(tz=datetime.UTC).date().isoformat()
    # Where files lie on this machine is nobody's business.
    command = [re.sub(r".*/(?=.)", "", word) for word in sys.argv]
    text = [f"# {name.replace('-', ' ').capitalize()}, {today}", "", machine, "", f"`{' '.join(command)}`", ""]
    for table in tables:
        text += [*table.markdown(), ""]
    print("\n".join(text))
    if arguments.write:
        RESULTS.mkdir(exist_ok=True)
        kept = {
            "date": today,
            "machine": machine,
            "command": command,
            "tables": [{"title": table.title, "notes": table.notes, "samples": table.samples} for table in tables],
        }
        (RESULTS / f"{today}-{name}.json").write_text(
            json.dumps(kept, indent=1, ensure_ascii=False) + "\n", encoding="utf-8"
        )
        (RESULTS / f"{today}-{name}.md").write_text("\n".join(text), encoding="utf-8")
