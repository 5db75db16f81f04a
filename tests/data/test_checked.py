"""Files are checked as they stand there. Of large ones, blocks are read, and the place is still found."""

from pathlib import Path

import pytest

from attentio.corpora.small_world.grammar import sample
from attentio.data import checked
from attentio.data.checked import check_corpus, sampled
from attentio.data.settings import DataConfig

PAIRS = [(pair.source, pair.target) for pair in sample(1500, 3)]


def test_blocks_are_taken_evenly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checked, "BLOCK", 3)
    monkeypatch.setattr(checked, "MOST_BLOCKS", 4)
    found = sampled(iter([("a", "b", line) for line in range(41)]))
    assert found.stride == 4
    assert [row[2] for row in found.rows] == [0, 1, 2, 12, 13, 14, 24, 25, 26, 36, 37, 38]


@pytest.mark.slow
@pytest.mark.parametrize("blocks", [400, 5])
def test_a_line_lost_in_a_file_is_found(blocks: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checked, "MOST_BLOCKS", blocks)
    file = tmp_path / "x.tsv"
    sources, targets = [source for source, _ in PAIRS], [target for _, target in PAIRS]
    del targets[805]
    file.write_text("".join(f"{s}\t{t}\n" for s, t in zip(sources, targets, strict=False)), encoding="utf-8")
    (found,) = check_corpus(DataConfig(train=[str(file)]), ("en", "zh"))
    assert found.symptom == "misaligned"
    assert abs(int(found.evidence["first_line"]) - 806) <= 3


def test_built_in_corpora_and_short_files_have_no_finding(tmp_path: Path) -> None:
    file = tmp_path / "x.tsv"
    file.write_text("I see.\t我明白。\n", encoding="utf-8")
    assert check_corpus(DataConfig(train=[str(file), "small-world"])) == []
