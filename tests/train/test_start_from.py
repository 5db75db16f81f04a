"""A training that starts from an existing model takes its weights, vocabulary and cleaners over."""

from pathlib import Path

import pytest
import torch

from attentio.bundle import Bundle
from attentio.corpora.small_world.grammar import sample
from attentio.errors import ModelError, UsageError
from attentio.train.run import TrainResult, run_training, train_files
from attentio.train.settings import effective_config


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pairs") / "new.tsv"
    path.write_text("".join(f"{pair.source}\t{pair.target}\n" for pair in sample(60, 99)), encoding="utf-8")
    return path


def go_on(tiny_run: Path, pairs: Path, out: Path, **train: object) -> TrainResult:
    settings = {"train": {"max_steps": 1, "learning_rate": 1e-9, "average_decay": 0.0, "seed": 5, **train}}
    return train_files(pairs, out, settings={**settings, "data.test": 0}, start_from=tiny_run)


def test_weights_and_vocabulary_are_taken_over(tiny_run: Path, pairs: Path, tmp_path: Path) -> None:
    result = go_on(tiny_run, pairs, tmp_path / "run")
    assert result.steps == 1
    before, after = Bundle.load(tiny_run), Bundle.load(tmp_path / "run")
    assert after.source.tokenizer.to_bytes() == before.source.tokenizer.to_bytes()
    assert after.target.tokenizer.to_bytes() == before.target.tokenizer.to_bytes()
    assert after.source.cleaner.as_dict() == before.source.cleaner.as_dict()
    assert (after.source.language, after.max_length) == (before.source.language, before.max_length)
    for name, weight in before.weights.items():  # one update at next to no rate
        torch.testing.assert_close(after.weights[name], weight, atol=1e-6, rtol=0)
    again = go_on(tiny_run, pairs, tmp_path / "run")
    assert again.steps == 1  # it was over


def test_another_model_is_refused_by_the_name_of_the_setting(tiny_run: Path, pairs: Path, tmp_path: Path) -> None:
    settings = {"data": {"train": [str(pairs)]}, "train": {"start_from": str(tiny_run)}, "model": {"hidden_size": 99}}
    with pytest.raises(UsageError, match=r"model\.hidden_size is 128 in .* and 99 here"):
        run_training(effective_config(settings=settings), tmp_path / "run")
    assert not (tmp_path / "run").exists()
    with pytest.raises(ModelError, match="no such folder"):
        train_files(pairs, tmp_path / "run", start_from=tmp_path / "nowhere")
