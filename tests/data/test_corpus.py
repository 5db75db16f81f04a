"""Encoded corpora: what is written is read back, whole or not at all."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attentio.data.corpus import EncodedCorpus, write_corpus
from attentio.errors import DataError

SENTENCES = st.lists(st.lists(st.integers(4, 99), max_size=5), min_size=1, max_size=9)


def packed(sentences: list[list[int]]) -> tuple[np.ndarray, np.ndarray]:
    lengths = np.array([len(ids) for ids in sentences], dtype=np.int64)
    return np.array([i for ids in sentences for i in ids], dtype=np.int32), lengths


def written(
    folder: Path, source: list[list[int]], target: list[list[int]], chunk: int = 2, vocab: int = 100
) -> EncodedCorpus:
    with write_corpus(folder, vocab, vocab) as writer:
        for start in range(0, len(source), chunk):
            writer.add(packed(source[start : start + chunk]), packed(target[start : start + chunk]))
    return EncodedCorpus.open(folder)


@settings(max_examples=25)
@given(source=SENTENCES, chunk=st.integers(1, 4))
def test_what_is_written_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, source: list[list[int]], chunk: int
) -> None:
    target = [[*ids[::-1], 7] for ids in source]
    corpus = written(tmp_path_factory.mktemp("corpus") / "c", source, target, chunk)
    corpus.verify()
    assert len(corpus) == len(source)
    for i in range(len(source)):
        assert corpus.source[i].tolist() == source[i]
        assert corpus.target[i].tolist() == target[i]
    assert corpus.source.lengths.tolist() == [len(ids) for ids in source]
    held = EncodedCorpus.from_lists(source, target)
    assert np.array_equal(held.target.offsets, corpus.target.offsets)


def test_small_vocabularies_take_two_bytes_a_token_and_large_ones_four(tmp_path: Path) -> None:
    corpus = written(tmp_path / "c", [[4, 5, 6]], [[65_535]], vocab=1 << 16)
    assert corpus.source.tokens.dtype == np.uint16
    assert corpus.target[0].tolist() == [65_535]
    assert (tmp_path / "c" / "source.tokens").stat().st_size == 6
    large = written(tmp_path / "d", [[4]], [[65_536]], vocab=(1 << 16) + 1)
    assert large.target[0].tolist() == [65_536]


def test_the_files_are_mapped_not_read(tmp_path: Path) -> None:
    corpus = written(tmp_path / "c", [[4, 5]], [[6]])
    assert isinstance(corpus.source.tokens, np.memmap)
    assert isinstance(corpus.target.offsets, np.memmap)


def test_an_error_leaves_nothing_behind(tmp_path: Path) -> None:
    def fail() -> None:
        with write_corpus(tmp_path / "c", 10, 10) as writer:
            writer.add(packed([[4]]), packed([[5]]))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert list(tmp_path.iterdir()) == []


def test_writing_again_replaces(tmp_path: Path) -> None:
    written(tmp_path / "c", [[4]], [[5]])
    assert written(tmp_path / "c", [[6]], [[7]]).source[0].tolist() == [6]


def test_ids_outside_the_vocabulary_and_unequal_sides_are_refused(tmp_path: Path) -> None:
    def write(source: tuple[np.ndarray, np.ndarray], target: tuple[np.ndarray, np.ndarray]) -> None:
        with write_corpus(tmp_path / "c", 10, 10) as writer:
            writer.add(source, target)

    with pytest.raises(ValueError, match=r"outside 0\.\.9"):
        write(packed([[10]]), packed([[5]]))
    with pytest.raises(ValueError, match="1 sources but 2 targets"):
        write(packed([[4]]), packed([[5], [6]]))
    with pytest.raises(ValueError, match="add up to 3"):
        write((np.array([4], dtype=np.int32), np.array([3])), packed([[5]]))
    with pytest.raises(ValueError, match="2 sources but 1 targets"):
        EncodedCorpus.from_lists([[4], [5]], [[6]])


def test_an_empty_side_can_be_mapped(tmp_path: Path) -> None:
    corpus = written(tmp_path / "c", [[], []], [[4], []])
    assert corpus.source[1].tolist() == []
    with pytest.raises(IndexError):
        corpus.source[2]


@pytest.mark.parametrize("damage", ["truncate", "missing", "manifest", "format", "nothing"])
def test_a_damaged_folder_is_named(tmp_path: Path, damage: str) -> None:
    folder = tmp_path / "c"
    written(folder, [[4, 5]], [[6]])
    if damage == "truncate":
        (folder / "source.tokens").write_bytes(b"\x04\x00")
    elif damage == "missing":
        (folder / "target.offsets").unlink()
    elif damage == "manifest":
        (folder / "corpus.json").write_text("{")
    elif damage == "format":
        (folder / "corpus.json").write_text('{"format": 99}')
    else:
        folder = tmp_path / "elsewhere"
    with pytest.raises(DataError, match="Prepare the data again"):
        EncodedCorpus.open(folder)


def test_a_flipped_bit_is_found(tmp_path: Path) -> None:
    written(tmp_path / "c", [[4, 5]], [[6]])
    (tmp_path / "c" / "target.tokens").write_bytes(b"\x07\x00")
    with pytest.raises(DataError, match=r"damaged: target\.tokens"):
        EncodedCorpus.open(tmp_path / "c").verify()
