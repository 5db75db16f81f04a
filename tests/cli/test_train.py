"""The verb `train`: what it makes, what it leaves alone, and how it goes on."""

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from attentio.errors import UsageError
from attentio.train.settings import load_config, read_duration

Command = Callable[..., Any]
Refused = Callable[[Any, int], str]


def everything(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.slow
def test_a_run_folder_and_what_is_said(train: Command, pairs: Path, tmp_path: Path) -> None:
    outcome = train(pairs, "--out", tmp_path / "out", "--seed", 3, "--attention", "additive")
    assert outcome.status == 0
    assert outcome.out == ""
    assert "done" in outcome.err
    assert "all steps done after 4 steps" in outcome.err
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == ["checkpoints", "config.toml", "data", "log.jsonl", "model"]
    config = load_config(tmp_path / "out" / "config.toml")
    assert (config.train.seed, config.attention.score, config.model.hidden_size) == (3, "additive", 8)
    events = [json.loads(line) for line in (tmp_path / "out" / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [event["event"] for event in events if event["event"] == "evaluation"] == ["evaluation"]
    assert events[-1]["dev_chrf"] is not None


@pytest.mark.slow
def test_quiet_and_json(train: Command, pairs: Path, tmp_path: Path) -> None:
    with pairs.open("a", encoding="utf-8") as file:
        file.write("one column alone\n")
    outcome = train(pairs, "--out", tmp_path / "out", "--quiet", "--json")
    assert outcome.err == ""
    shown = json.loads(outcome.out)
    assert shown["data"]["dropped"] == {"one column": 1}
    assert shown["data"]["train"] > 0
    assert (shown["schema"], shown["steps"], shown["ended"]) == (1, 4, "all steps done")
    assert shown["interrupted_by"] is None


@pytest.mark.slow
def test_the_same_command_again_changes_nothing(train: Command, pairs: Path, tmp_path: Path) -> None:
    train(pairs, "--out", tmp_path / "out", "--quiet")
    before = everything(tmp_path / "out")
    outcome = train(pairs, "--out", tmp_path / "out")
    assert outcome.status == 0
    assert "all steps done after 4 steps" in outcome.err
    assert everything(tmp_path / "out") == before


@pytest.mark.slow
def test_another_setting_is_another_run(train: Command, refused: Refused, pairs: Path, tmp_path: Path) -> None:
    train(pairs, "--out", tmp_path / "out", "--quiet")
    before = everything(tmp_path / "out")
    line = refused(train(pairs, "--out", tmp_path / "out", "--seed", 9), 2)
    assert "train.seed was 1, now 9" in line
    assert "--overwrite" in line
    assert everything(tmp_path / "out") == before
    assert train(pairs, "--out", tmp_path / "out", "--seed", 9, "--overwrite", "--quiet").status == 0
    assert load_config(tmp_path / "out" / "config.toml").train.seed == 9
    assert not (tmp_path / "out" / "checkpoints" / "step-4").samefile(tmp_path)


@pytest.mark.slow
def test_changed_data_is_noticed(train: Command, refused: Refused, pairs: Path, tmp_path: Path) -> None:
    train(pairs, "--out", tmp_path / "out", "--quiet")
    with pairs.open("a", encoding="utf-8") as file:
        file.write("One more.\t再来一个。\n")
    line = refused(train(pairs, "--out", tmp_path / "out", "--quiet"), 3)
    assert "changed since its training began" in line
    assert train(pairs, "--out", tmp_path / "out", "--overwrite", "--quiet").status == 0


def test_a_dry_run_touches_nothing(train: Command, pairs: Path, tmp_path: Path) -> None:
    before = everything(tmp_path)
    outcome = train(pairs, "--out", tmp_path / "out", "--dry-run", "--json")
    assert outcome.status == 0
    assert everything(tmp_path) == before
    shown = json.loads(outcome.out)
    assert shown["parameters"] > 1000
    assert shown["memory_bytes"] > 4 * shown["parameters"]
    assert shown["train_pairs"] > 40
    assert f"{shown['parameters']:,} parameters" in outcome.err


@pytest.mark.parametrize("options", [[], ["--overwrite"]])
def test_a_folder_with_other_things_is_left_alone(
    train: Command, refused: Refused, pairs: Path, tmp_path: Path, options: list[str]
) -> None:
    """Above all where it has a `data` and a `model` of its own, which --overwrite would otherwise remove."""
    folder = tmp_path / "project"
    (folder / "data").mkdir(parents=True)
    (folder / "data" / "precious.txt").write_text("years of work", encoding="utf-8")
    (folder / "config.toml").write_text("[tool]\nname = 'mine'\n", encoding="utf-8")
    before = everything(folder)
    if not options:
        (folder / "config.toml").rename(tmp_path / "config.toml")
        before.pop("config.toml")
    assert "no run folder" in refused(train(pairs, "--out", folder, *options), 2)
    assert everything(folder) == before


def test_a_file_is_no_run_folder(train: Command, refused: Refused, pairs: Path) -> None:
    for options in ([], ["--overwrite"]):
        assert "no run folder" in refused(train(pairs, "--out", pairs, *options), 2)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--attention", "aditive"], "attention.score: there is no kind 'aditive'. Did you mean 'additive'?"),
        (["--device", "tpu9"], "unknown device 'tpu9'"),
        (["--device", "cuda:77"], "no device 'cuda:77'"),
        (["-o", "model.hiden_size=9"], "Did you mean hidden_size?"),
        (["-o", "model.kernel_size=4"], "must be odd"),
        (["--preset", "rnn-base", "-o", "model.hidden_size=9"], "must be even"),
        (["--preset", "smal"], "Did you mean small?"),
        (["--max-time", "soon"], "Write it as 90s, 10m or 2h."),
        (["--dev", "1.5"], "dev is a count, a share below 1, or a file"),
        (["--dev", "nan"], "dev is a count, a share below 1, or a file"),
        (["--script", "cursive"], "data.script"),
    ],
)
def test_mistakes_are_found_before_anything_is_touched(
    attentio: Command, refused: Refused, pairs: Path, tmp_path: Path, options: list[str], words: str
) -> None:
    out = tmp_path / "out"
    assert words in refused(attentio("train", pairs, "--out", out, *options), 2)
    assert not out.exists()


@pytest.mark.slow
def test_a_mistake_with_overwrite_keeps_the_old_run(
    train: Command, refused: Refused, pairs: Path, tmp_path: Path
) -> None:
    train(pairs, "--out", tmp_path / "out", "--quiet")
    before = everything(tmp_path / "out")
    refused(train(pairs, "--out", tmp_path / "out", "--overwrite", "--attention", "x"), 2)
    refused(train(tmp_path / "nowhere.tsv", "--out", tmp_path / "out", "--overwrite"), 3)
    assert everything(tmp_path / "out") == before


def test_no_data_and_too_much_data(attentio: Command, refused: Refused, pairs: Path) -> None:
    assert "no data to train on" in refused(attentio("train"), 2)
    assert "DATA or --src, not both" in refused(attentio("train", pairs, "--src", pairs), 2)


@pytest.mark.slow
def test_settings_from_a_file(train: Command, pairs: Path, tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(f"[data]\ntrain = ['{pairs}']\n[attention]\nnum_heads = 2\n", encoding="utf-8")
    assert train("--config", file, "--out", tmp_path / "out", "--quiet").status == 0
    assert load_config(tmp_path / "out" / "config.toml").attention.num_heads == 2


@pytest.mark.slow
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_interrupted_it_saves_and_says_how_to_go_on(
    train: Command, pairs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, status: int
) -> None:
    from attentio.train.reporter import TrainingReporter

    train(pairs, "--out", tmp_path / "whole", "--quiet")
    update = TrainingReporter.update

    def interrupted(self: Any, progress: Any, **facts: Any) -> None:
        update(self, progress, **facts)
        if progress.step == 2:
            signal.raise_signal(number)

    before = signal.getsignal(number)
    with monkeypatch.context() as patch:
        patch.setattr(TrainingReporter, "update", interrupted)
        outcome = train(pairs, "--out", tmp_path / "out", "--json")
    assert outcome.status == status
    assert "stopped at step 2; the same command again resumes exactly here" in outcome.err
    assert json.loads(outcome.out)["interrupted_by"] == number
    assert signal.getsignal(number) == before
    assert train(pairs, "--out", tmp_path / "out", "--quiet").status == 0
    weights = [(tmp_path / name / "model" / "model.safetensors").read_bytes() for name in ("whole", "out")]
    assert weights[0] == weights[1]


@pytest.mark.slow
def test_a_run_without_held_out_pairs_publishes_its_last_model(attentio: Command, pairs: Path, tmp_path: Path) -> None:
    small = ["-o", "model.embedding_size=8", "-o", "model.hidden_size=8", "-o", "train.max_steps=3", "--device", "cpu"]
    outcome = attentio("train", pairs, "--out", tmp_path / "out", "--dev", 0, "--test", 0, *small)
    assert outcome.status == 0
    assert attentio("translate", tmp_path / "out", stdin="Yes.\n").status == 0
    outcome = attentio("evaluate", tmp_path / "out")
    assert outcome.status == 3
    assert "held nothing out for testing" in outcome.err


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("10m", 600), ("1.5h", 5400), (" 7 ", 7)])
def test_times(text: str, seconds: float) -> None:
    assert read_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "0", "-3m", "5d", "m", "1e3s"])
def test_no_times(text: str) -> None:
    with pytest.raises(UsageError):
        read_duration(text)


@pytest.mark.slow
def test_training_starts_without_loading_torchs_compiler(pairs: Path, tmp_path: Path) -> None:
    """It takes a second, and nothing is compiled."""
    script = (
        "import atexit, sys\n"
        "from attentio.cli import main\n"
        "atexit.register(lambda: print('torch._dynamo' in sys.modules))\n"
        "main()\n"
    )
    words = ["train", str(pairs), "--out", str(tmp_path / "out"), "--quiet", "-o", "train.max_steps=2"]
    words += ["-o", "data.dev=5", "-o", "data.test=5", "--preset", "tiny", "--device", "cpu"]
    done = subprocess.run([sys.executable, "-c", script, *words], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "False", done.stderr


@pytest.mark.slow
def test_trainings_that_share_prepared_data_are_those_that_prepare_it(
    attentio: Command, train: Command, pairs: Path, tmp_path: Path
) -> None:
    """The same weights to the bit, the corpus on the disk once, and a seed of its own for each training."""
    prepared = tmp_path / "prepared"
    sizes = ["-o", "data.dev=5", "-o", "data.test=5"]
    assert attentio("data", "prepare", pairs, "--out", prepared, "--seed", 3, *sizes).status == 0
    own = ["-o", "model.embedding_size=8", "-o", "model.hidden_size=8", "-o", "train.max_steps=4"]
    own += ["-o", "train.evaluate_pairs=2", "--device", "cpu"]
    for seed in (3, 4):
        one, other = tmp_path / f"one-{seed}", tmp_path / f"other-{seed}"
        outcome = attentio("train", prepared, "--out", one, "--seed", seed, *own)
        assert outcome.status == 0, outcome.err
        assert train(pairs, "--out", other, "--seed", seed, "-o", "data.split_seed=3").status == 0
        assert weights(one) == weights(other)
        corpus = Path("train") / "source.tokens"
        assert (one / "data" / corpus).samefile(prepared / corpus)
        before = everything(one)
        assert attentio("train", prepared, "--out", one, "--seed", seed, *own).status == 0
        assert everything(one) == before
    assert weights(tmp_path / "one-3") != weights(tmp_path / "one-4")
    (prepared / "dev.tsv").unlink()
    (prepared / "dev.tsv").write_text("x\ty\n", encoding="utf-8")
    outcome = attentio("train", prepared, "--out", tmp_path / "two", "--seed", 3, *own)
    assert f"prepared again: {tmp_path / 'two' / 'data' / 'dev.tsv'} is altered." in outcome.err
    assert weights(tmp_path / "two") == weights(tmp_path / "one-3")


def test_prepared_data_is_as_it_was_prepared(attentio: Command, refused: Refused, pairs: Path, tmp_path: Path) -> None:
    prepared, run = tmp_path / "prepared", tmp_path / "run"
    assert attentio("data", "prepare", pairs, "--out", prepared, "--test", 5).status == 0
    line = refused(attentio("train", prepared, "--max-length", 9, "--out", run), 2)
    assert line == f"error: {prepared} is prepared, so that data.max_length comes too late. Leave it out."
    line = refused(attentio("train", prepared, "--out", run, "-o", "data.swap=true"), 2)
    assert "data.swap=true comes too late" in line
    line = refused(attentio("train", tmp_path, "--out", run), 3)
    assert "holds no prepared data that runs share. Make it: attentio data prepare" in line
    assert not run.exists()


@pytest.mark.slow
def test_a_built_in_corpus_stays_one_beside_a_folder_of_its_name(
    attentio: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "small-world").mkdir()  # as a run called so, or the one that the demo makes
    monkeypatch.chdir(tmp_path)
    assert attentio("train", "small-world", "--out", "run", "--dry-run").status == 0


def weights(run: Path) -> bytes:
    return (run / "model" / "model.safetensors").read_bytes()
