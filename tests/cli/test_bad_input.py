"""The twelve commonest bad inputs, through the command line: the right status, one clear line, and how to mend it."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from attentio.bundle import Bundle

Command = Callable[..., Any]
Refused = Callable[[Any, int], str]


@pytest.fixture
def run(tiny_run: Path, tmp_path: Path) -> Path:
    shutil.copytree(tiny_run, tmp_path / "run")
    return tmp_path / "run"


def test_1_missing_file(train: Command, refused: Refused, pairs: Path, tmp_path: Path) -> None:
    line = refused(train(pairs.with_name("pears.tsv"), "--out", tmp_path / "out"), 3)
    assert f"{tmp_path}/pears.tsv: no such file." in line
    assert "Did you mean" in line
    assert "pairs.tsv" in line
    assert not (tmp_path / "out").exists()


def test_1_missing_file_as_json(train: Command, refused: Refused, tmp_path: Path) -> None:
    outcome = train(tmp_path / "no.tsv", "--json")
    refused(outcome, 3)
    shown = json.loads(outcome.out)
    assert shown["schema"] == 1
    assert shown["error"].keys() == {"code", "message", "hint", "file", "line"}
    assert shown["error"]["code"] == "E_DATA_MISSING"
    assert shown["error"]["file"] == str(tmp_path / "no.tsv")


def test_2_single_column(train: Command, refused: Refused, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("only one\n" * 30, encoding="utf-8")
    line = refused(train(tmp_path / "notes.txt", "--out", tmp_path / "out"), 3)
    assert "has 1 column" in line
    for hint in ("--src", "--tgt", "--delimiter"):
        assert hint in line


def test_3_line_counts_differ(train: Command, refused: Refused, tmp_path: Path) -> None:
    (tmp_path / "a.zh").write_text("".join(f"我有{n}本书。\n" for n in range(30)), encoding="utf-8")
    (tmp_path / "b.en").write_text("".join(f"I have {n} books.\n" for n in range(28)), encoding="utf-8")
    out = tmp_path / "out"
    line = refused(train("--src", tmp_path / "a.zh", "--tgt", tmp_path / "b.en", "--out", out, "--quiet"), 3)
    assert "a.zh has 30 lines" in line
    assert "28" in line
    assert not (out / "model").exists()


def test_4_a_few_empty_lines_are_a_warning(train: Command, pairs: Path, tmp_path: Path) -> None:
    lines = pairs.read_text(encoding="utf-8").split("\n")
    lines[13:13] = ["one side\t", "\t另一边"]
    pairs.write_text("\n".join(lines), encoding="utf-8")
    outcome = train(pairs, "--out", tmp_path / "out", "--dry-run")
    assert outcome.status == 0
    (warning,) = [line for line in outcome.err.split("\n") if "empty" in line and line.startswith("warning: ")]
    assert "2 pairs" in warning
    assert "14" in warning


@pytest.mark.slow
def test_4_mostly_empty_lines_are_an_error(train: Command, refused: Refused, pairs: Path, tmp_path: Path) -> None:
    text = pairs.read_text(encoding="utf-8")
    pairs.write_text(text + "".join(f"only a source, number {n}\t\n" for n in range(80)), encoding="utf-8")
    assert "--keep-going" in refused(train(pairs, "--out", tmp_path / "out", "--quiet"), 3)
    assert train(pairs, "--out", tmp_path / "out", "--quiet", "--keep-going").status == 0


@pytest.mark.slow
def test_5_another_encoding(train: Command, refused: Refused, pairs: Path, tmp_path: Path) -> None:
    other = tmp_path / "gb.tsv"
    other.write_bytes(pairs.read_text(encoding="utf-8").encode("gb18030"))
    line = refused(train(other, "--out", tmp_path / "out", "--quiet"), 3)
    assert "gb.tsv line 1, byte" in line
    assert "not UTF-8" in line
    assert "--encoding gb18030" in line
    assert train(other, "--out", tmp_path / "out", "--quiet", "--encoding", "gb18030").status == 0


@pytest.mark.slow
def test_5_another_encoding_on_standard_input(attentio: Command, refused: Refused, tiny_run: Path) -> None:
    line = refused(attentio("translate", tiny_run, stdin="fine\n我\n".encode("gb18030")), 3)
    assert "standard input line 2, byte 1: not UTF-8 (0xCE)" in line
    assert "iconv" in line


def test_6_nul_bytes(train: Command, refused: Refused, pairs: Path, tmp_path: Path) -> None:
    content = pairs.read_bytes().split(b"\n")
    content[4] = content[4].replace(b"\t", b"\x00\t")
    pairs.write_bytes(b"\n".join(content))
    line = refused(train(pairs, "--out", tmp_path / "out", "--quiet"), 3)
    assert "line 5" in line
    assert "NUL" in line


def test_7_over_long_pairs_are_dropped_and_said(train: Command, pairs: Path, tmp_path: Path) -> None:
    with pairs.open("a", encoding="utf-8") as file:
        file.write("very " * 80 + "good.\t" + "很" * 80 + "好。\n")
    outcome = train(pairs, "--out", tmp_path / "out", "--dry-run", "--max-length", 60)
    assert outcome.status == 0
    assert "warning: pairs: 1 pair over the longest length (--max-length) dropped (first: line 61).\n" in outcome.err


@pytest.mark.slow
def test_7_over_long_text_is_translated_in_parts_and_said(attentio: Command, tiny_run: Path) -> None:
    outcome = attentio("translate", tiny_run, stdin="I like you " * 150 + "\nYes.\n")
    assert outcome.status == 0
    assert len(outcome.lines) == 2
    assert outcome.lines[0]
    longest = Bundle.load(tiny_run).longest_source
    assert outcome.err == (
        f"warning: sentences longer than the {longest} tokens of training, cut into parts: line 1.\n"
    )
    outcome = attentio("translate", tiny_run, "--nbest=2", stdin="Yes.\n" + ("I like you. " * 3 + "\n") * 2)
    assert outcome.err == "note: several sentences, and so one hypothesis: line 2 and 1 more.\n"


def test_8_unseen_characters(attentio: Command, tiny_run: Path) -> None:
    outcome = attentio("translate", tiny_run, stdin="I like you.\nI like 龘.\n")
    assert outcome.status == 0
    assert outcome.err == "note: 1 never seen in training (龘): line 2. Expect poor output there.\n"
    shown = json.loads(attentio("translate", tiny_run, "--json", stdin="I like 龘.\n").out)
    assert shown["unseen"] == ["龘"]


def test_9_corrupt_model(attentio: Command, refused: Refused, run: Path) -> None:
    path = run / "model" / "model.safetensors"
    size = path.stat().st_size
    path.write_bytes(path.read_bytes()[: size // 2])
    line = refused(attentio("translate", run, stdin="Yes.\n"), 4)
    assert f"model.safetensors is truncated (the manifest says {size:,} bytes, the file has {size // 2:,})" in line


def test_10_a_vocabulary_that_does_not_belong(attentio: Command, refused: Refused, run: Path) -> None:
    shutil.copy(run / "model" / "source.tokenizer", run / "model" / "target.tokenizer")
    outcome = attentio("translate", run, "--json", stdin="Yes.\n")
    line = refused(outcome, 4)
    assert "tokens) does not belong to these weights (embedding " in line
    assert "Model and tokenizer must come from one run." in line
    assert json.loads(outcome.out)["error"]["code"] == "E_MODEL_MISMATCH"


@pytest.mark.slow
def test_11_a_full_disk(
    train: Command, refused: Refused, pairs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk fills after two updates: the checkpoint before is kept, and once there is room the run goes on."""
    import safetensors.torch

    save, saved = safetensors.torch.save_file, []

    def filling(tensors: dict[str, torch.Tensor], path: Path) -> None:
        if len(saved) >= 4 * 2:  # weights, optimizer, random state and average of two checkpoints
            raise OSError(28, "No space left on device")
        saved.append(path.name)
        save(tensors, path)

    arguments = [pairs, "--out", tmp_path / "out", "--quiet", "-o", "train.save_every_seconds=1e-9"]
    with monkeypatch.context() as patch:
        patch.setattr(safetensors.torch, "save_file", filling)
        line = refused(train(*arguments), 5)
    assert "disk full while saving" in line
    assert "step-3" in line
    assert "What was saved before is kept" in line
    assert sorted(path.name for path in (tmp_path / "out" / "checkpoints").iterdir()) == ["step-1", "step-2"]
    assert train(*arguments).status == 0


@pytest.mark.slow
def test_11_a_full_disk_while_logging(
    train: Command, refused: Refused, pairs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device", "log.jsonl")

    monkeypatch.setattr("attentio.train.reporter.TrainingReporter.event", full)
    assert "disk full while writing log.jsonl" in refused(train(pairs, "--out", tmp_path / "out", "--quiet"), 5)


@pytest.mark.slow
def test_12_out_of_memory(
    train: Command, refused: Refused, pairs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from attentio.train.step import TrainingStep

    whole, limit = TrainingStep.forward, [20]

    def limited(step: TrainingStep, batch: Any) -> Any:
        if len(batch.source) > limit[0]:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 9 GiB")
        return whole(step, batch)

    monkeypatch.setattr(TrainingStep, "forward", limited)
    arguments = [pairs, "-o", "train.batch_tokens=800", "--out"]
    outcome = train(*arguments, tmp_path / "halved")
    assert outcome.status == 0
    assert outcome.err.count("out of memory: from here on each batch is computed in 2 parts") == 1
    limit[0] = 1
    line = refused(train(*arguments, tmp_path / "hopeless", "--quiet"), 5)
    assert "out of memory on cpu at a batch of" in line
    for hint in ("--max-length", "--preset tiny", "--device cpu"):
        assert hint in line


def test_12_too_little_memory_is_said_beforehand(
    train: Command, refused: Refused, pairs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("attentio.train.footprint.available_memory", lambda: 1000)
    assert "too little memory" in refused(train(pairs, "--out", tmp_path / "out", "--quiet"), 5)
    assert not (tmp_path / "out" / "checkpoints").exists()


@pytest.mark.parametrize("encoding", ["gb18030", "utf-16-le"])
def test_hint_of_another_encoding_names_an_option_only_where_there_is_one(
    attentio: Command, tiny_run: Path, tmp_path: Path, encoding: str
) -> None:
    file = tmp_path / "text.txt"
    file.write_bytes("你好世界，我们走吧。Yes.\n今天天气很好。No.\n".encode(encoding))
    with_option = attentio("evaluate", tiny_run, file)
    assert with_option.status == 3
    assert f"--encoding {encoding}" in with_option.err
    for without in (("translate", tiny_run, file), ("align", file, file, "--index", 0, "--gold-index", 0)):
        outcome = attentio(*without)
        assert outcome.status == 3
        assert "--encoding" not in outcome.err
        assert f"iconv -f {encoding.upper().replace('-LE', 'LE')} -t UTF-8" in outcome.err


def test_layer_or_head_that_is_missing_is_refused_before_anything_is_printed(attentio: Command, tiny_run: Path) -> None:
    for options in (("--layer", 9), ("--head", 9)):
        outcome = attentio("view", tiny_run, "I love you.", *options)
        assert (outcome.status, outcome.out) == (2, "")
        assert "9" in outcome.err


def test_a_table_on_standard_input_is_noticed(attentio: Command, tiny_run: Path) -> None:
    outcome = attentio("translate", tiny_run, stdin="I\tje\nyou\ttu\n")
    assert outcome.status == 0
    assert "standard input looks like a table of 2 columns" in outcome.err
    assert len(outcome.lines) == 2
    assert "looks like" not in attentio("translate", tiny_run, stdin="I love you.\nYes.\n").err
