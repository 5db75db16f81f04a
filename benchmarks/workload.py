"""What the speed benchmarks work on: one corpus prepared once, two architectures, and runs of Attentio on them.

Peers are given the prepared corpus as text, every piece written as its number, so that sentences, lengths, vocabularies
and splits are the same for all.
"""

import hashlib
import json
import math
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, Self

import torch
from measure import ATTENTIO, Finished, run

from attentio.bundle import Bundle
from attentio.data.batch import BatchSampler, collate
from attentio.data.corpus import EncodedCorpus
from attentio.data.heldout import read_tsv
from attentio.data.prepare import PreparedData, prepare
from attentio.metrics.quality import evaluate
from attentio.text.special import SPECIAL
from attentio.text.tokenizer import Tokenizer
from attentio.train.folder import Run
from attentio.train.objective import cross_entropy
from attentio.train.settings import DEFAULT_PRESET, dump_config, effective_config
from attentio.train.state import LENGTH_MULTIPLE

BATCH_SENTENCES = 64
LEARNING_RATE = 3e-4

# R: one bidirectional LSTM layer, one LSTM layer with general attention and input feeding, all 256 wide.
# T: a Transformer of 3 + 3 layers, 256 wide, 4 heads, feed-forward 1,024.
MODELS: dict[str, tuple[str, ...]] = {
    "R": (
        "model.family=rnn",
        "model.input_feeding=true",
        "model.embedding_size=256",
        "model.hidden_size=256",
        "model.dropout=0.2",
        "model.lexical_memory=false",
        "model.tie_embeddings=false",
        "attention.score=bilinear",
        "attention.num_heads=1",
    ),
    "T": (
        "model.family=transformer",
        "model.hidden_size=256",
        "model.encoder_layers=3",
        "model.decoder_layers=3",
        "model.feed_forward_size=1024",
        "model.activation=relu",
        "model.norm=pre",
        "model.positions=sinusoidal",
        "model.dropout=0.1",
        "model.tie_embeddings=false",
        "attention.score=scaled_dot",
        "attention.num_heads=4",
        "attention.dropout=0.1",
        "self_attention.score=scaled_dot",
        "self_attention.num_heads=4",
        "self_attention.dropout=0.1",
    ),
}
FAMILIES = {"R": "model.family=rnn", "T": "model.family=transformer"}

# The arithmetic, batches and optimiser that every peer is told to use.
SAME_TRAINING = (
    f"train.batch_sentences={BATCH_SENTENCES}",
    "train.batch_tokens=16384",  # no limit where sentences are short
    f"train.learning_rate={LEARNING_RATE}",
    "train.schedule=constant",
    "train.warmup_steps=0",
    "train.weight_decay=0.0",
    "train.label_smoothing=0.0",
    "train.clip_norm=5.0",
    "train.average_decay=0.0",
    "train.precision=fp32",
    "train.save_every_seconds=86400.0",
)


class Point(NamedTuple):
    """How far a training was at one moment."""

    seconds: float
    step: int
    target_tokens: int  # trained on so far, ends of sentences counted


class Training(NamedTuple):
    """A training seen from the outside: its course, and the loss on dev afterwards in nats a target token."""

    command_seconds: float
    peak_bytes: int | None
    course: list[Point]
    parameters: int
    dev_loss: float
    products_per_second: float | None = None  # target tokens a second, if linear products were all

    def share_of_limit(self, skipped_steps: int) -> float | None:
        """The time of the linear products alone, divided by that of all."""
        limit = self.products_per_second
        return None if limit is None else self.tokens_per_second(skipped_steps) / limit

    def tokens_per_second(self, skipped_steps: int) -> float:
        """Target tokens a second, from the first point after `skipped_steps` to the last."""
        first = next(point for point in self.course if point.step >= skipped_steps)
        last = self.course[-1]
        return (last.target_tokens - first.target_tokens) / (last.seconds - first.seconds)


class Workload:
    """A corpus, prepared with one seed in `folder`, for Attentio and, as numbers, for others."""

    def __init__(self, folder: Path, data_settings: tuple[str, ...], seed: int, prepared: PreparedData) -> None:
        self.folder = folder
        self.data_settings = data_settings
        self.seed = seed
        self.prepared = prepared

    @classmethod
    def of(cls, corpus: Path, folder: Path, *, seed: int = 1, dev: int = 500, test: int = 1000) -> Self:
        """Prepares `corpus`, with so many pairs held out, below `folder`, or opens what was prepared there before."""
        content = hashlib.sha256(corpus.read_bytes()).hexdigest()[:8]
        folder = folder / f"{corpus.stem}-{content}-{dev}-{test}-seed-{seed}"
        settings = (
            f"data.train={json.dumps([str(corpus.resolve())])}",
            f"data.dev={dev}",
            f"data.test={test}",
            "data.lowercase_source=false",  # the same numbers for every model and every peer
            f"train.seed={seed}",
        )
        config = effective_config(overrides=settings)
        workload = cls(folder, settings, seed, prepare(config.data, folder / "prepared", seed=seed))
        workload._write_numbers()
        return workload

    @property
    def models(self) -> Path:
        """The folder of models trained on it."""
        return self.folder / "models"

    @property
    def test(self) -> list[tuple[str, str]]:
        """Source and target text of each test pair."""
        return self._held_out("test")

    def numbers(self, part: str, side: str) -> Path:
        """The file of one side of train, dev or test as numbers; with `part` = "vocab", all numbers that occur."""
        return self.folder / f"{part}.{side}"

    def target_text(self, line: str) -> str:
        """What a line of target numbers says; anything that is no number is left out."""
        return self.prepared.target.tokenizer.decode(int(word) for word in line.split() if word.isdecimal())

    def target_length(self, text: str) -> int:
        """Pieces of a target text, its end counted."""
        return len(self.prepared.target.tokenizer.encode(text)) + 1

    def bleu(self, translations: Sequence[str]) -> float:
        """Of translations of the first sentences of the test set."""
        references = [target for _, target in self.test[: len(translations)]]
        found = evaluate(translations, references, language=self.prepared.target.language, resamples=0)
        return found.bleu.value

    def _held_out(self, part: str) -> list[tuple[str, str]]:
        return read_tsv(self.prepared.folder / f"{part}.tsv")

    def _write_numbers(self) -> None:
        prepared = self.prepared
        tokenizers: dict[str, Tokenizer] = {"source": prepared.source.tokenizer, "target": prepared.target.tokenizer}
        for place, (side, tokenizer) in enumerate(tokenizers.items()):
            corpus = prepared.train.source if side == "source" else prepared.train.target
            parts = {
                "train": [corpus[index].tolist() for index in range(len(corpus))],
                **{part: [tokenizer.encode(pair[place]) for pair in self._held_out(part)] for part in ("dev", "test")},
            }
            for part, sentences in parts.items():
                lines = [" ".join(map(str, sentence)) + "\n" for sentence in sentences]
                self.numbers(part, side).write_text("".join(lines), encoding="ascii")
            ordinary = range(
                SPECIAL.eos + 2, tokenizer.vocab_size
            )  # the others have padding, ends and unknown of their own
            self.numbers("vocab", side).write_text("".join(f"{n}\t1\n" for n in ordinary), encoding="ascii")


def new_run(workload: Workload, folder: Path, settings: Sequence[str], *, preset: str = DEFAULT_PRESET) -> list[str]:
    """Makes a run folder whose data are prepared already; the command that trains there."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    run_folder = Run(folder)
    config = effective_config(preset=preset, overrides=(*workload.data_settings, *settings))
    run_folder.config.write_text(dump_config(config), encoding="utf-8")
    run_folder.data.symlink_to(workload.prepared.folder.resolve(), target_is_directory=True)
    return [*ATTENTIO, "train", "--config", str(run_folder.config), "--out", str(folder)]


def train(workload: Workload, folder: Path, settings: Sequence[str], *, steps: int, threads: int) -> Training:
    """Trains Attentio for so many updates; dev is translated once, at the end, and but one sentence of it."""
    once = (f"train.max_steps={steps}", f"train.evaluate_every={steps}", "train.evaluate_pairs=1", "train.patience=0")
    command = new_run(workload, folder, (*settings, *once))
    finished = run(command, threads=threads)
    return _outcome(workload, folder, finished)


def trained(workload: Workload, model: str, *, steps: int, threads: int) -> Path:
    """The run folder of a model of the same sizes and training as the peers'; trained once and kept."""
    folder = workload.models / f"Attentio-{model}-{steps}"
    if not Run(folder).model.exists():
        sys.stderr.write(f"training {model} with Attentio: {steps} updates\n")
        train(workload, folder, (*MODELS[model], *SAME_TRAINING), steps=steps, threads=threads)
    return folder


def _outcome(workload: Workload, folder: Path, finished: Finished) -> Training:
    """What the log of a finished run says, and the loss of its model."""
    events = map(json.loads, Run(folder).log.read_text(encoding="utf-8").splitlines())
    course = [Point(e["seconds"], e["step"], e["target_tokens"]) for e in events if e["event"] == "step"]
    model = Bundle.load(folder).ready()
    data = workload.prepared
    assert data.dev is not None
    pairs = [(s, t) for s, texts in zip(data.dev.sources, data.dev.references, strict=True) for t in texts]
    dev = EncodedCorpus.from_lists(
        [data.source.tokenizer.encode(s) for s, _ in pairs], [data.target.tokenizer.encode(t) for _, t in pairs]
    )
    loss = tokens = 0.0
    with torch.inference_mode():
        for indices in BatchSampler(dev.source.lengths, dev.target.lengths, max_tokens=4096):
            batch = collate(dev, indices)
            loss += cross_entropy(model, batch, label_smoothing=0.0).item() * batch.num_target_tokens
            tokens += batch.num_target_tokens
    return Training(finished.seconds, finished.peak_bytes, course, model.num_parameters(), loss / tokens)


def steps_for(workload: Workload, settings: Sequence[str], sentences: int) -> int:
    """After how many updates with these settings so many sentence pairs have been trained on."""
    config = effective_config(overrides=settings).train
    corpus = workload.prepared.train
    sampler = BatchSampler(
        corpus.source.lengths,
        corpus.target.lengths,
        max_tokens=config.batch_tokens,
        seed=config.seed,
        length_multiple=LENGTH_MULTIPLE,
    )
    return math.ceil(sentences * len(sampler) / len(corpus))
