"""A run folder is never silently wrong: one training at a time, damage mended or said, only read when finished."""

import collections
import contextlib
import errno
import json
import os
import random
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from filelock import FileLock

from attentio.bundle import Bundle
from attentio.corpora.small_world.grammar import sample
from attentio.data.prepare import PreparedData
from attentio.errors import AttentioError, ModelError, ResourceError, UsageError
from attentio.evaluation.scores import held_out_sets, score_run
from attentio.train import state
from attentio.train.reporter import Display, TrainingReporter, evaluations
from attentio.train.run import TrainResult, run_training, train_files
from attentio.train.settings import effective_config
from attentio.train.state import Progress
from attentio.translator import Translator

# Everything that a run can hold, as small as it can be.
SETTINGS = {
    "model.embedding_size": 4,
    "model.hidden_size": 4,
    "model.dropout": 0.1,
    "data.source_tokenizer": "char",
    "data.target_tokenizer": "char",
    "data.dev": 4,
    "data.test": 4,
    "train.max_steps": 5,
    "train.batch_tokens": 200,
    "train.warmup_steps": 1,
    "train.evaluate_every": 2,
    "train.evaluate_pairs": 2,
    "train.save_every_seconds": 1e-9,
    "train.device": "cpu",
}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pairs") / "pairs.tsv"
    path.write_text("".join(f"{pair.source}\t{pair.target}\n" for pair in sample(30, 5)), encoding="utf-8")
    return path


def train(data: Path, out: Path, said: list[str] | None = None, **others: Any) -> TrainResult:
    settings = SETTINGS | others.pop("settings", {})
    say = [].append if said is None else said.append
    return train_files(data, out, preset="rnn-tiny", settings=settings, say=say, **others)


@pytest.fixture(scope="module")
def made(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made") / "run"
    train(data, folder)
    return folder


@pytest.fixture
def run(made: Path, tmp_path: Path) -> Path:
    """A finished run that may be damaged."""
    return Path(shutil.copytree(made, tmp_path / "run"))


@pytest.fixture
def broken_off(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run that was interrupted after its third update."""
    with monkeypatch.context() as patch:
        during(patch, 3, lambda: os.kill(os.getpid(), 15))
        with pytest.raises(KeyboardInterrupt):
            train(data, tmp_path / "broken")
    return tmp_path / "broken"


def during(patch: pytest.MonkeyPatch, step: int, act: Callable[[], object]) -> None:
    """Do something in the middle of a training, once."""
    update = TrainingReporter.update

    def updated(reporter: TrainingReporter, progress: Progress, **facts: Any) -> None:
        update(reporter, progress, **facts)
        if progress.step == step:
            act()

    patch.setattr(TrainingReporter, "update", updated)


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def restore(folder: Path, files: dict[str, bytes]) -> None:
    for path in folder.rglob("*"):
        if path.is_file() and str(path.relative_to(folder)) not in files:
            path.unlink()
    for name, held in files.items():
        if not (folder / name).is_file() or (folder / name).read_bytes() != held:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(held)


def weights(folder: Path) -> bytes:
    return (folder / "model" / "model.safetensors").read_bytes()


def refused(call: Callable[[], object], *words: str) -> AttentioError:
    with pytest.raises(AttentioError) as caught:
        call()
    assert "\n" not in str(caught.value)
    assert [word for word in words if word not in str(caught.value)] == []
    return caught.value


# One training at a time


@pytest.mark.slow
def test_a_second_training_is_refused_and_the_first_goes_on_unharmed(
    data: Path, made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[AttentioError] = []

    def second() -> None:
        before = content(tmp_path / "run")
        for overwrite in (False, True):
            act = lambda overwrite=overwrite: train(data, tmp_path / "run", overwrite=overwrite)  # noqa: E731
            found.append(refused(act, "is in use", f"process {os.getpid()} is training there"))
        assert content(tmp_path / "run") == before

    during(monkeypatch, 2, second)
    train(data, tmp_path / "run")
    assert [(type(error), error.exit_status) for error in found] == [(UsageError, 2)] * 2
    assert weights(tmp_path / "run") == weights(made)
    assert not (tmp_path / "run" / ".lock").exists()


def test_the_lock_of_a_dead_process_blocks_nobody(data: Path, run: Path) -> None:
    (run / ".lock").write_text("999999\n", encoding="ascii")
    assert train(data, run).steps == 5
    with FileLock(run / ".lock"):
        refused(lambda: train(data, run), "is in use")


@pytest.mark.slow
def test_what_a_killed_first_write_left_is_taken_over_and_removed(data: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    left = folder / ".config.toml.12.34.partial"
    left.write_text("[da", encoding="utf-8")
    train(data, folder)
    assert not left.exists()
    assert (folder / "model").is_dir()


# A published model that is gone or damaged


@pytest.mark.slow
def test_a_damaged_model_is_published_again(data: Path, run: Path, made: Path) -> None:
    model = run / "model" / "model.safetensors"
    best = train(data, run).best_step
    for damage in (model.unlink, lambda: model.write_bytes(b""), lambda: shutil.rmtree(run / "model")):
        damage()
        said: list[str] = []
        train(data, run, said)
        (line,) = [line for line in said if line.startswith("published again")]
        assert "model" in line
        assert Bundle.load(run).metadata["progress"]["step"] in (best, 5)
        assert ("is lost" in " ".join(said)) == (best not in (4, 5))
        said.clear()
        train(data, run, said)
        assert not [line for line in said if "again" in line]
    if best in (4, 5):
        assert weights(run) == weights(made)


@pytest.mark.slow
def test_the_last_model_takes_the_place_of_a_better_one_that_is_lost(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state, "FEW_SENTENCES", 0)
    settings = {"train.learning_rate": 1e-12, "train.average_decay": 0.0}  # no evaluation is better than the first
    assert train(data, tmp_path / "run", settings=settings).best_step == 2
    shutil.rmtree(tmp_path / "run" / "model")
    said: list[str] = []
    train(data, tmp_path / "run", said, settings=settings)
    assert any(line.startswith("published again, as of step 5") for line in said)
    assert any("the model of step 2, which was better on dev, is lost" in line for line in said)
    shutil.rmtree(tmp_path / "run" / "model")
    for manifest in (tmp_path / "run" / "checkpoints").glob("*/manifest.json"):
        manifest.write_text("{}", encoding="utf-8")
    train(data, tmp_path / "run", settings=settings)  # trained again from the start, and published on the way
    assert Bundle.load(tmp_path / "run").metadata["progress"]["step"] == 2


# Damage


@pytest.mark.slow
@pytest.mark.parametrize("name", ["report.json", "dev.tsv", "test.tsv", "train/target.tokens", "train/source.offsets"])
def test_damaged_data_is_prepared_again_or_refused(data: Path, made: Path, run: Path, name: str) -> None:
    for damage in (b"", (run / "data" / name).read_bytes()[:-3]):
        (run / "data" / name).write_bytes(damage)
        said: list[str] = []
        if name == "test.tsv":
            refused(lambda: held_out_sets(run), "test.tsv is altered")
        train(data, run, said)
        assert any(name in line for line in said), said
        assert (run / "data" / name).read_bytes() == (made / "data" / name).read_bytes() or name == "report.json"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["config.toml", "data/prepared.json", "data/dev.tsv", "log.jsonl", "model", "data"])
@pytest.mark.parametrize("finished", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_a_folder_in_place_of_a_file_and_a_file_in_place_of_a_folder(
    data: Path, request: pytest.FixtureRequest, name: str, finished: bool
) -> None:
    folder: Path = request.getfixturevalue("run" if finished else "broken_off")
    whole = (folder / name).is_dir()
    shutil.rmtree(folder / name) if whole else (folder / name).unlink()
    (folder / name).touch() if whole else (folder / name).mkdir()
    with contextlib.suppress(AttentioError):
        assert train(data, folder).steps == 5
        assert Bundle.load(folder)


@pytest.mark.slow
def test_strange_state_in_a_whole_checkpoint_is_one_line(data: Path, broken_off: Path) -> None:
    from attentio.runtime.sealed import seal

    held = json.loads(next((broken_off / "checkpoints").glob("step-3/manifest.json")).read_text(encoding="utf-8"))
    for key, value in (
        ("progress", 5),
        ("plan", {"x": 1}),
        ("sampler", None),
        ("parts", "two"),
        ("progress", {"x": 1}),
    ):
        state = {**held["state"], key: value}
        seal(broken_off / "checkpoints" / "step-3", {"schema": 1, "state": state})
        refused(lambda: train(data, broken_off), "cannot be resumed from", "--overwrite")


def test_a_setting_changed_in_the_folder_is_no_reading_of_a_test_file(run: Path, data: Path) -> None:
    config = run / "config.toml"
    config.write_text(config.read_text(encoding="utf-8").replace("swap = false", "swap = true"), encoding="utf-8")
    refused(lambda: score_run(Translator.load(run), run, data), "config.toml", "altered")


@pytest.mark.slow
def test_a_line_of_the_log_that_was_cut_off_is_passed_over(data: Path, broken_off: Path) -> None:
    log = broken_off / "log.jsonl"
    log.write_bytes(log.read_bytes() + b'{"event": "evalua')
    train(data, broken_off)
    assert [event["step"] for event in evaluations(log)] == [2, 4, 5]


# A folder that can only be read


@contextlib.contextmanager
def only_read(folder: Path) -> Iterator[None]:
    """Take away the right to write in a folder, from root as well."""
    for path in [folder, *folder.rglob("*")]:
        path.chmod(path.stat().st_mode & ~0o222 | 0o444 | (0o111 if path.is_dir() else 0))
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    try:
        if os.access(folder, os.W_OK, effective_ids=True):
            pytest.skip("whoever runs this may write everywhere")
        yield
    finally:
        os.seteuid(user)
        for path in [folder, *folder.rglob("*")]:
            path.chmod(path.stat().st_mode | 0o200)


@pytest.fixture
def open_place() -> Iterator[Path]:
    """A folder that any user may enter."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.mark.slow
def test_a_finished_run_is_only_read(data: Path, open_place: Path) -> None:
    pairs = shutil.copy(data, open_place / "pairs.tsv")
    train(pairs, open_place / "run")
    run = open_place / "run"
    before, said = content(run), []
    with only_read(run):
        assert train(pairs, run, said).steps == 5
        translator = Translator.load(run)
        assert score_run(translator, run, resamples=10)
        assert translator.translate(["a cat"])
    assert any("all steps done after 5 steps" in line for line in said)
    assert content(run) == before
    with only_read(run):
        refused(lambda: train(pairs, run, overwrite=True), "cannot be written")
    assert content(run) == before


@pytest.mark.slow
def test_an_unfinished_run_that_can_only_be_read_is_one_line(data: Path, open_place: Path) -> None:
    pairs, run = shutil.copy(data, open_place / "pairs.tsv"), open_place / "run"
    settings = effective_config(
        preset="rnn-tiny",
        settings={"data": {"train": [str(pairs)]}},
        overrides=[f"{k}={v}" for k, v in SETTINGS.items()],
    )
    stopped = Display()
    with pytest.MonkeyPatch.context() as patch:
        during(patch, 3, lambda: os.kill(os.getpid(), 15))
        assert run_training(settings, run, display=lambda: stopped)["ended"] is None
    with only_read(run):
        assert refused(lambda: run_training(settings, run), "cannot be written").exit_status == 5


# The disk


@pytest.mark.slow
def test_a_disk_that_fills_is_one_line_and_nothing_is_lost(
    data: Path, made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every write from the n-th on fails: wherever that is, the run goes on once there is room."""
    fsync, left = os.fsync, [0]

    def full(descriptor: int) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        fsync(descriptor)

    lines = 0
    for count in (0, 1, 5, 12, 25, 60, 90):
        left[0] = count
        with monkeypatch.context() as patch, contextlib.suppress(ResourceError):
            patch.setattr(os, "fsync", full)
            train(data, tmp_path / "run")
            lines -= 1
        lines += 1
    assert lines >= 4
    train(data, tmp_path / "run")
    assert weights(tmp_path / "run") == weights(made)


@pytest.mark.slow
def test_everything_that_a_resume_needs_is_synced_before_it_is_renamed(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: dict[tuple[int, int], int] = {}  # file -> size when it was last synced
    renamed: list[str] = []

    def file(path: Path | int) -> tuple[tuple[int, int], int]:
        status = os.stat(path)  # noqa: PTH116  (also of a descriptor)
        return (status.st_dev, status.st_ino), status.st_size

    def sync(descriptor: int, call: Callable[[int], None] = os.fsync) -> None:
        call(descriptor)
        key, size = file(descriptor)
        synced[key] = size

    def checked(call: Callable[[Path, Path], Path]) -> Callable[[Path, Path], Path]:
        def rename(path: Path, target: Path) -> Path:
            if not target.name.endswith(".old"):
                renamed.append(target.name)
                for one in [path, *path.rglob("*")]:
                    key, size = file(one)
                    assert synced.get(key) == size, f"{one} was renamed before it was on the disk"
            return call(path, target)

        return rename

    monkeypatch.setattr(os, "fsync", sync)
    monkeypatch.setattr(Path, "rename", checked(Path.rename))
    monkeypatch.setattr(Path, "replace", checked(Path.replace))
    train(data, tmp_path / "run")
    assert {"config.toml", "data", "step-1", "step-5", "model"} <= set(renamed)
    for folder in (tmp_path, tmp_path / "run", tmp_path / "run" / "checkpoints"):  # the names in them, too
        assert file(folder)[0] in synced


# Starting from a model


@pytest.mark.slow
def test_resuming_needs_no_model_to_start_from(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = {"train.seed": 3}
    lines = [f"{pair.source}\t{pair.target}龘\n" for pair in sample(30, 6)]
    (data := tmp_path / "new.tsv").write_text("".join(lines), encoding="utf-8")
    train(data, tmp_path / "whole", settings=settings, start_from=run)
    held = PreparedData.load(tmp_path / "whole" / "data")
    assert held.new_tokens[1] >= 1
    assert held.earlier_pairs >= 10
    before = json.loads((tmp_path / "whole" / "tests.json").read_text(encoding="utf-8"))
    with monkeypatch.context() as patch:
        during(patch, 3, lambda: os.kill(os.getpid(), 15))
        with pytest.raises(KeyboardInterrupt):
            train(data, tmp_path / "parts", settings=settings, start_from=run)
    shutil.rmtree(run)
    train(data, tmp_path / "parts", settings=settings, start_from=run)
    assert weights(tmp_path / "parts") == weights(tmp_path / "whole")
    assert json.loads((tmp_path / "parts" / "tests.json").read_text(encoding="utf-8")) == before
    (tmp_path / "whole" / "data" / "dev.tsv").write_bytes(b"")
    refused(lambda: train(data, tmp_path / "whole", settings=settings, start_from=run), "no such folder")
    with pytest.raises(ModelError, match="no such folder"):
        train(data, tmp_path / "parts", settings=settings, start_from=run, overwrite=True)
    assert weights(tmp_path / "parts") == weights(tmp_path / "whole")


# Any byte


class Damage(NamedTuple):
    """What happens to a file of a run: its name, what it then holds (None: it is gone), and what that is called."""

    name: str
    held: bytes | None
    kind: str
    place: str = ""


def flip(name: str, content: bytes, draw: random.Random) -> Damage:
    """Return a file with a random bit flipped."""
    held, place, bit = bytearray(content), draw.randrange(len(content)), draw.randrange(8)
    held[place] ^= 1 << bit
    return Damage(name, bytes(held), "bit of a file flipped", f"bit {bit} of byte {place}")


def flips(files: dict[str, bytes], count: int, seed: int) -> Iterator[Damage]:
    """Yield `count` files of a run, each with a random bit flipped."""
    draw, names = random.Random(seed), sorted(name for name, held in files.items() if held)
    for _ in range(count):
        name = draw.choice(names)
        yield flip(name, files[name], draw)


def each_in_turn(files: dict[str, bytes]) -> Iterator[Damage]:
    """Yield every file of a run cut short, emptied, with a bit flipped and removed."""
    draw = random.Random(7)
    for name, held in sorted(files.items()):
        if held:
            yield Damage(name, held[: len(held) // 2], "file cut short")
            yield Damage(name, b"", "file emptied")
            yield flip(name, held, draw)
        yield Damage(name, None, "file removed")


def outcomes(
    data: Path, folder: Path, damages: Callable[[dict[str, bytes]], Iterable[Damage]], faults: collections.Counter[str]
) -> dict[str, int]:
    """Damage files of a run, one at a time. Return how often each outcome was. Anything else fails."""

    def result() -> tuple[object, ...]:
        said.clear()
        outcome = train(data, folder, said)
        bundle = Bundle.load(folder)
        tensors = {name: tensor.numpy().tobytes() for name, tensor in bundle.weights.items()}
        sides = [(side.tokenizer.to_bytes(), side.cleaner, side.language) for side in (bundle.source, bundle.target)]
        return outcome.ended, outcome.steps, outcome.best_dev_chrf, tensors, sides, held_out_sets(folder)

    files, lines, said = content(folder), set[int](), list[str]()
    wanted = result()
    restore(folder, files)
    found = {"same result": 0, "one line": 0}
    for name, held, kind, place in damages(files):
        if held is None:
            (folder / name).unlink()
        else:
            (folder / name).write_bytes(held)
        try:
            reached = result()
        except AttentioError as error:
            lines.add(str(error).count("\n"))
            found["one line"] += 1
        except Exception as error:
            raise AssertionError(f"{name}: {kind} {place}") from error
        else:
            same = reached == wanted
            assert same or any("is lost" in line for line in said), f"{name}: {kind} {place}"
            found["same result" if same else "one line"] += 1
        faults[kind] += 1
        restore(folder, files)
    assert lines <= {0}
    return found


@pytest.mark.slow
def test_any_bit_of_a_run_flipped_gives_the_same_result_or_one_line(
    data: Path, run: Path, faults: collections.Counter[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fsync", lambda _: None)
    outcomes(data, run, partial(flips, count=20, seed=1), faults)
    assert faults.total() == 20


# 1,000 flips in all, in shares that two processes can divide among them.
SHARES = [*(("run", 235, seed) for seed in range(2, 6)), ("broken_off", 60, 8)]


@pytest.mark.long
@pytest.mark.parametrize(("folder", "count", "seed"), SHARES)
def test_1000_random_flips_give_the_same_result_or_one_line(
    data: Path,
    request: pytest.FixtureRequest,
    folder: str,
    count: int,
    seed: int,
    faults: collections.Counter[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(os, "fsync", lambda _: None)
    found = outcomes(data, request.getfixturevalue(folder), partial(flips, count=count, seed=seed), faults)
    assert faults.total() == count
    assert min(found.values()) > count // 50


@pytest.mark.parametrize(
    "folder",
    [pytest.param("run", marks=pytest.mark.slow), pytest.param("broken_off", marks=pytest.mark.long)],
)
def test_any_file_of_a_run_damaged_or_removed_gives_the_same_result_or_one_line(
    data: Path,
    request: pytest.FixtureRequest,
    folder: str,
    faults: collections.Counter[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(os, "fsync", lambda _: None)
    found = outcomes(data, request.getfixturevalue(folder), each_in_turn, faults)
    assert len(set(faults.values())) <= 2  # an empty file can only be removed
    assert min(found.values()) > 3


@pytest.mark.slow
def test_sentences_longer_than_the_positions_are_refused(data: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"40 tokens are allowed, and the model has 40 positions. --max-length 39"):
        train_files(data, tmp_path / "run", settings=SETTINGS | {"data.max_length": 40, "model.max_positions": 40})
    train_files(data, tmp_path / "run", settings=SETTINGS | {"data.max_length": 39, "model.max_positions": 40})
    train_files(data, tmp_path / "rnn", settings=SETTINGS | {"data.max_length": 1000, "model.family": "rnn"})
