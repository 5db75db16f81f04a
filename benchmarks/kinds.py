"""What every kind of attention comes to: the same small translator, the same data and updates, one axis changed.

    python benchmarks/kinds.py                          # every kind, seeds 1 and 2; hours
    python benchmarks/kinds.py --kinds dot hard_marginal --steps 300 --seeds 1
    python benchmarks/kinds.py --write                  # keeps the table in benchmarks/results, under the date

Each kind is trained on the small world without guidance by its word links, from the default attention (bilinear,
softmax, full, one head) with one axis changed; "none" is the same without attention, so that the decoder knows of the
source what the encoder's summary says. Measured on held-out pairs, in use, so hard kinds take their best key: accuracy
of the next character under teacher forcing, end of sentence included; cross-entropy in nats per token; BLEU of greedy
translations. What is done already is read from the JSON file in the work folder, and not done again.
"""

import argparse
import datetime
import json
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from machine import describe_machine
from torch import Tensor

from attentio.attention import NORMALIZERS, SCORES, WINDOWS
from attentio.attention.normalize import RowNormalizer
from attentio.data.batch import BatchSampler, collate
from attentio.data.corpus import EncodedCorpus
from attentio.data.prepare import PreparedData, prepare
from attentio.errors import AttentioError
from attentio.metrics.quality import evaluate
from attentio.model.seq2seq import Seq2Seq
from attentio.search.batched import SearchConfig, search
from attentio.train.loop import train
from attentio.train.settings import RunConfig, effective_config
from attentio.train.state import Progress

RESULTS = Path(__file__).resolve().parent / "results"
DEFAULT = {"score": "bilinear", "normalize": "softmax", "window": "full"}
ENOUGH = 0.95


class Nothing(RowNormalizer):
    """Attends to nothing: what the translator is worth without attention."""

    def normalize_rows(self, scores: Tensor, mask: Tensor | None) -> Tensor:
        """All zeros."""
        return 0.0 * scores


def kinds() -> dict[str, dict[str, Any]]:
    """Settings of attention by name: the default, and every other kind in its place; then four heads."""
    found: dict[str, dict[str, Any]] = {"none": {"normalize": "none"}, "default": {}}
    for axis, names in (("score", SCORES), ("normalize", NORMALIZERS), ("window", WINDOWS)):
        found |= {name: {axis: name} for name in names if name not in (DEFAULT[axis], "none")}
    return found | {"4 heads": {"num_heads": 4}}


def configuration(attention: dict[str, Any], seed: int, steps: int, overrides: list[str]) -> RunConfig:
    """The tiny recurrent translator with that attention."""
    settings = {
        "data": {"train": ["small-world"], "split_seed": 1},
        "attention": attention,
        "model": {"dropout": 0.05},  # the grammar is known exactly: there is little to overfit
        "train": {
            "seed": seed,
            "max_steps": steps,
            "epochs": 1000,
            "learning_rate": 5e-3,
            "warmup_steps": 100,
            "guided_alignment": 0.0,
            "device": "cpu",
        },
    }
    return effective_config(preset="rnn-tiny", settings=settings, overrides=overrides)


class Silence:
    """A reporter that says nothing."""

    def update(self, progress: Progress, *, epoch: float, total_steps: int, tokens_per_second: float) -> None:
        """An update was made."""

    def evaluated(self, progress: Progress, *, epoch: float) -> None:
        """Dev was translated."""

    def note(self, text: str) -> None:
        """Out of the ordinary, so it is said."""
        print(text, flush=True)


def run(config: RunConfig, data: PreparedData) -> dict[str, Any]:
    """Trains one kind and measures what came of it."""
    found: dict[str, Any] = {}

    def publish(model: Seq2Seq, progress: Progress) -> None:
        model.eval()
        found.update(measure(model, held_out(data), data))
        found.update(seconds=round(progress.seconds, 1), steps=progress.step, cost=round(progress.loss, 4))

    sizes = data.vocab_sizes
    with tempfile.TemporaryDirectory() as folder:
        options: dict[str, Any] = {"links": None, "evaluate": None, "publish": publish, "reporter": Silence()}
        train(config, data.train, sizes, Path(folder), **options)
    return found


def held_out(data: PreparedData) -> list[tuple[str, str]]:
    """The test pairs, every reference of a source."""
    (test,) = data.tests.values()
    return [(source, target) for source, texts in zip(test.sources, test.references, strict=True) for target in texts]


@torch.inference_mode()
def measure(model: Seq2Seq, pairs: list[tuple[str, str]], data: PreparedData) -> dict[str, float]:
    """Accuracy and cross-entropy of the next token, and BLEU of greedy translations."""
    source, target = data.source.tokenizer, data.target.tokenizer
    corpus = EncodedCorpus.from_lists(
        [source.encode(text) for text, _ in pairs], [target.encode(text) for _, text in pairs]
    )
    right = tokens = 0
    loss = 0.0
    for indices in BatchSampler(corpus.source.lengths, corpus.target.lengths, max_tokens=4096):
        batch = collate(corpus, indices)
        logits = model(batch.source, batch.source_lengths, batch.target_in).float()
        real = batch.target_out != 0
        right += int(((logits.argmax(-1) == batch.target_out) & real).sum())
        log_probs = logits.log_softmax(-1).gather(-1, batch.target_out[..., None])[..., 0]
        loss -= log_probs[real].sum().item()
        tokens += batch.num_target_tokens
    (test,) = data.tests.values()
    found = search(model, [source.encode(text) for text in test.sources], SearchConfig())
    texts = [target.decode(hypotheses[0].tokens) for hypotheses in found]
    bleu = evaluate(texts, test.references, language="zh", resamples=0).bleu
    return {
        "accuracy": round(right / tokens, 4),
        "loss": round(loss / tokens, 4),
        "bleu": round(bleu.value, 2),
    }


def done(path: Path) -> list[dict[str, Any]]:
    """The rows of an earlier call."""
    return json.loads(path.read_text(encoding="utf-8"))["rows"] if path.exists() else []


def table(rows: list[dict[str, Any]]) -> list[str]:
    """The mean of the seeds of each kind, as a table in Markdown; spread is the largest difference between seeds."""
    lines = [
        "| kind | token accuracy | spread | loss, nats | BLEU | seconds | seeds |",
        "|---|---|---|---|---|---|---|",
    ]
    for kind in kinds():
        of_kind = [row for row in rows if row["kind"] == kind]
        if not of_kind:
            continue
        if "refused" in of_kind[0]:
            lines.append(f"| {kind} | {of_kind[0]['refused']} | | | | | |")
            continue
        mean = {key: statistics.mean(row[key] for row in of_kind) for key in ("accuracy", "loss", "bleu", "seconds")}
        accuracies = [row["accuracy"] for row in of_kind]
        below = "" if mean["accuracy"] >= ENOUGH else " (below)"
        lines.append(
            f"| {kind} | {100 * mean['accuracy']:.2f} %{below} | {100 * (max(accuracies) - min(accuracies)):.2f} | "
            f"{mean['loss']:.3f} | {mean['bleu']:.1f} | {mean['seconds']:.0f} | "
            f"{', '.join(str(row['seed']) for row in of_kind)} |"
        )
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kinds", nargs="+", choices=kinds(), default=list(kinds()), metavar="KIND")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--steps", type=int, default=1200)
    parser.add_argument("-o", "--set", dest="overrides", action="append", default=[])
    parser.add_argument("--work", type=Path, default=Path("runs/kinds"), help="prepared data and figures")
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    NORMALIZERS["none"] = Nothing
    os.nice(15)  # hours of it: whatever else the machine does goes first
    torch.set_num_threads(1)
    arguments.work.mkdir(parents=True, exist_ok=True)
    figures = arguments.work / "kinds.json"
    rows = done(figures)
    plain = configuration({}, 1, arguments.steps, arguments.overrides)
    data = prepare(plain.data, arguments.work / "data", seed=1)
    for seed in arguments.seeds:
        for kind in arguments.kinds:
            same = {"kind": kind, "seed": seed, "planned": arguments.steps, "overrides": arguments.overrides}
            if any(same.items() <= row.items() for row in rows):
                continue
            began = time.perf_counter()
            config = configuration(kinds()[kind], seed, arguments.steps, arguments.overrides)
            try:
                row = same | run(config, data)
            except AttentioError as error:
                row = same | {"refused": error.message}
            rows.append(row)
            content = {"machine": describe_machine(), "rows": rows}
            figures.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
            print(json.dumps(row, ensure_ascii=False), f"{time.perf_counter() - began:.0f} s in all", flush=True)
    today = datetime.datetime.now(tz=datetime.UTC).date().isoformat()
    wanted = [row for row in rows if (row["planned"], row["overrides"]) == (arguments.steps, arguments.overrides)]
    title = f"# What every kind of attention comes to, {today}"
    options = "".join(f" -o {override}" for override in arguments.overrides)
    command = f"`python benchmarks/kinds.py --steps {arguments.steps}{options}`, {describe_machine()}"
    content = "\n".join([title, "", command, "", *table(wanted), ""])
    print(content)
    if arguments.write:
        (RESULTS / f"{today}-kinds.md").write_text(content, encoding="utf-8")


if __name__ == "__main__":
    main()
