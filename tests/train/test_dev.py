"""What the dev set says of a model, and what is said of one that gives a single answer."""

import json
from pathlib import Path

import pytest

from attentio.bundle import Bundle
from attentio.corpora.small_world.grammar import sample
from attentio.data.heldout import HeldOut
from attentio.train.dev import DevScores, DevSet
from attentio.train.run import run_training
from attentio.train.settings import effective_config
from attentio.train.state import Progress


def test_the_loss_is_the_mean_over_tokens_of_what_each_pair_costs_alone(tiny_run: Path) -> None:
    bundle = Bundle.load(tiny_run)
    model, sides = bundle.build().eval(), (bundle.source.tokenizer, bundle.target.tokenizer)
    pairs = [(pair.source, pair.target) for pair in sample(7, 3)]
    alone = [DevSet(HeldOut.from_pairs("one", [pair]), *sides, limit=1).loss(model) for pair in pairs]
    tokens = [len(sides[1].encode(target)) + 1 for _, target in pairs]
    mean = sum(cost * count for cost, count in zip(alone, tokens, strict=True)) / sum(tokens)
    assert DevSet(HeldOut.from_pairs("all", pairs), *sides, limit=100).loss(model) == pytest.approx(mean, rel=1e-5)


def test_the_best_is_chosen_by_strict_chrf_and_the_loss_keeps_a_run_alive() -> None:
    constant, words = DevScores(5.0, 13.5, 2.3, 1.0), DevScores(4.0, 9.0, 8.0, 0.1)
    progress = Progress(step=1).judged(constant).judged(words)
    assert (progress.best_chrf, progress.best_same, progress.stale_evaluations) == (9.0, 0.1, 0)
    learning = progress.judged(DevScores(3.9, 8.0, 7.0, 0.1))
    assert (learning.best_chrf, learning.dev_chrf, learning.stale_evaluations) == (9.0, 8.0, 0)
    assert learning.judged(DevScores(3.95, 8.0, 7.0, 0.1)).stale_evaluations == 1


@pytest.mark.slow
@pytest.mark.parametrize("dev", [0, 20])
def test_done_is_not_said_of_a_model_that_learned_nothing(tmp_path: Path, dev: int) -> None:
    path = tmp_path / "pairs.tsv"
    path.write_text("".join(f"{pair.source}\t{pair.target}\n" for pair in sample(80, 3)), encoding="utf-8")
    settings = {"data": {"train": [str(path)], "dev": dev, "test": 0}, "train": {"max_steps": 1, "learning_rate": 1e-9}}
    said: list[str] = []
    summary = run_training(effective_config(preset="tiny", settings=settings), tmp_path / "run", say=said.append)
    assert "has not learned to translate" in summary["warnings"][0]
    assert json.dumps(summary)
    assert not any(line.startswith("done") for line in said)
    assert any("has not learned to translate" in line for line in said)
