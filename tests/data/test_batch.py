"""Batches: a hand-worked one, the budget, every pair once, the same order from the same seed, and exact resume."""

from collections.abc import Iterator
from itertools import chain, islice
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from attentio.data.batch import Batch, BatchSampler, collate, cut_batches, sort_key
from attentio.data.corpus import EncodedCorpus
from attentio.data.prepare import prepare
from attentio.data.settings import DataConfig

LENGTHS = st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)), min_size=1, max_size=60)


def lengths_of(pairs: list[tuple[int, int]]) -> tuple[np.ndarray, np.ndarray]:
    held = np.array(pairs, dtype=np.int32)
    return held[:, 0], held[:, 1]


def many(count: int = 5000, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    source = np.clip(generator.poisson(8, count), 1, 30)
    return source, np.clip(source + generator.integers(-2, 3, count), 1, 30)


def test_a_batch_by_hand() -> None:
    corpus = EncodedCorpus.from_lists([[11, 12, 13], [14]], [[21], [22, 23]])
    batch = collate(corpus, np.array([1, 0]))
    assert batch.source.tolist() == [[14, 2, 0, 0], [11, 12, 13, 2]]
    assert batch.source_lengths.tolist() == [2, 4]
    assert batch.target_in.tolist() == [[1, 22, 23], [1, 21, 0]]
    assert batch.target_out.tolist() == [[22, 23, 2], [21, 2, 0]]
    assert batch.num_target_tokens == 5
    assert {tensor.dtype for tensor in batch[:4]} == {torch.int64}


def test_lengths_can_be_rounded_up() -> None:
    corpus = EncodedCorpus.from_lists([[11, 12, 13, 14]], [[21]])
    batch = collate(corpus, np.array([0]), length_multiple=4)
    assert batch.source.tolist() == [[11, 12, 13, 14, 2, 0, 0, 0]]
    assert batch.target_in.tolist() == [[1, 21, 0, 0]]
    assert batch.target_out.tolist() == [[21, 2, 0, 0]]


def test_moving_keeps_everything() -> None:
    batch = collate(EncodedCorpus.from_lists([[5]], [[6]]), np.array([0])).to("cpu")
    assert isinstance(batch, Batch)
    assert batch.num_target_tokens == 2


@settings(max_examples=40)
@given(pairs=LENGTHS, max_tokens=st.integers(4, 200), multiple=st.sampled_from([1, 3, 8]))
def test_every_pair_once_and_never_over_budget(pairs: list[tuple[int, int]], max_tokens: int, multiple: int) -> None:
    source, target = lengths_of(pairs)
    sampler = BatchSampler(source, target, max_tokens=max_tokens, seed=3, size_multiple=multiple)
    batches = list(sampler)
    assert len(batches) == len(sampler)
    assert sorted(np.concatenate(batches).tolist()) == list(range(len(pairs)))
    for batch in batches:
        positions = len(batch) * (int(source[batch].max()) + 1 + int(target[batch].max()) + 1)
        assert positions <= max_tokens or len(batch) == 1
        # Only the last batch in length order may have an odd size.
    assert sum(len(batch) > multiple and len(batch) % multiple != 0 for batch in batches) <= 1


def test_a_batch_may_fill_its_budget_exactly() -> None:
    """Three and four pieces and two ends make nine positions a pair, so 36 hold four pairs."""
    sampler = BatchSampler(np.full(12, 3), np.full(12, 4), max_tokens=36, size_multiple=1)
    assert [len(batch) for batch in sampler] == [4, 4, 4]


@settings(max_examples=40)
@given(pairs=LENGTHS, size=st.integers(1, 9))
def test_a_number_of_sentences_can_be_the_budget(pairs: list[tuple[int, int]], size: int) -> None:
    batches = list(BatchSampler(*lengths_of(pairs), max_sentences=size, size_multiple=1))
    assert max(map(len, batches)) <= size
    assert sum(len(batch) != size for batch in batches) <= 1


def test_padding_is_what_it_says_and_small() -> None:
    source, target = many()
    sampler = BatchSampler(source, target, max_tokens=2048)
    corpus = EncodedCorpus.from_lists([[9] * n for n in source], [[9] * n for n in target])
    real = padded = 0
    for indices in sampler:
        batch = collate(corpus, indices)
        real += int(batch.source_lengths.sum()) + batch.num_target_tokens
        padded += batch.source.numel() + batch.target_out.numel()
    assert sampler.padding == pytest.approx(1 - real / padded)
    assert sampler.padding < 0.05


def test_rounding_leaves_few_shapes() -> None:
    source, target = many()
    plain, rounded = (
        {
            (len(batch), -(-(source[batch].max() + 1) // m) * m, -(-(target[batch].max() + 1) // m) * m)
            for batch in BatchSampler(source, target, max_tokens=2048, length_multiple=m)
        }
        for m in (1, 4)
    )
    assert len(rounded) < len(plain) / 3


def test_the_same_seed_gives_the_same_batches_and_each_epoch_another_order() -> None:
    first, again, other = (BatchSampler(*many(), max_tokens=512, seed=seed) for seed in (5, 5, 6))
    epochs = [[batch.tolist() for batch in first] for _ in range(2)]
    assert epochs == [[batch.tolist() for batch in again] for _ in range(2)]
    assert epochs[0] != epochs[1]
    assert {tuple(sorted(b)) for b in epochs[0]} != {tuple(sorted(b)) for b in epochs[1]}, "other pairs meet"
    assert epochs[0] != [batch.tolist() for batch in other]


def test_batches_do_not_come_sorted_by_length() -> None:
    source, target = many()
    widths = [int(target[batch].max()) for batch in BatchSampler(source, target, max_tokens=512)]
    assert abs(np.corrcoef(widths, range(len(widths)))[0, 1]) < 0.2


@pytest.mark.parametrize("taken", [0, 1, 17])
def test_resume_is_exact(taken: int) -> None:
    def stream(sampler: BatchSampler) -> Iterator[list[int]]:
        while True:
            yield from (batch.tolist() for batch in sampler)

    whole, begun, resumed = (BatchSampler(*many(), max_tokens=4096, seed=seed) for seed in (1, 1, 999))
    expected = list(islice(stream(whole), 3 * len(whole)))
    head = list(islice(stream(begun), taken))
    resumed.load_state_dict(begun.state_dict())
    assert head + list(islice(stream(resumed), len(expected) - taken)) == expected


def test_the_state_in_the_middle_of_a_loop_points_at_the_next_batch() -> None:
    sampler = BatchSampler(*many(), max_tokens=4096, seed=1)
    for number, _ in enumerate(sampler, start=1):
        state = sampler.state_dict()
        assert (state["epoch"], state["position"]) == ((0, number) if number < len(sampler) else (1, 0))


def test_a_state_of_other_data_is_refused() -> None:
    sampler = BatchSampler(*many(), max_tokens=512)
    with pytest.raises(ValueError, match="state of"):
        sampler.load_state_dict(BatchSampler(*many(100), max_tokens=512).state_dict())


def test_it_says_what_is_missing() -> None:
    with pytest.raises(ValueError, match="no pairs"):
        BatchSampler(np.array([], dtype=np.int32), np.array([], dtype=np.int32), max_tokens=9)
    with pytest.raises(ValueError, match="give max_tokens"):
        BatchSampler(*many(9))
    with pytest.raises(ValueError, match="1 source lengths but 2"):
        BatchSampler(np.array([1]), np.array([1, 2]), max_tokens=9)


def test_millions_of_pairs_stay_arrays() -> None:
    sampler = BatchSampler(*many(200_000), max_tokens=4096)
    held = sum(value.nbytes for value in vars(sampler).values() if isinstance(value, np.ndarray))
    assert held <= 200_000 * 8 + (len(sampler) + 1) * 8


@pytest.mark.slow
def test_padding_on_the_seeds_file(shared_data: Path, tmp_path: Path) -> None:
    data = prepare(DataConfig(train=[str(shared_data / "cmn-2018.txt")]), tmp_path / "d", seed=1)
    sampler = BatchSampler(data.train.source.lengths, data.train.target.lengths, max_tokens=4096)
    assert sampler.padding < 0.06
    assert BatchSampler(data.train.source.lengths, data.train.target.lengths, max_tokens=2048).padding < 0.035


def cut_one_by_one(source, target, max_tokens, max_sentences, size_multiple):
    """The definition: each batch takes one pair more as long as all of it, padded, is within both budgets."""
    cuts = [0]
    while (start := cuts[-1]) < len(source):
        end = start + 1
        while end < len(source) and (max_sentences is None or end - start < max_sentences):
            size = end + 1 - start
            if (
                max_tokens is not None
                and size * (max(source[start : end + 1]) + max(target[start : end + 1])) > max_tokens
            ):
                break
            end += 1
        if end < len(source) and end - start > size_multiple:
            end -= (end - start) % size_multiple
        cuts.append(end)
    return cuts


@settings(max_examples=40)
@given(
    lengths=st.lists(st.tuples(st.integers(1, 4), st.integers(1, 3), st.integers(1, 40)), min_size=1, max_size=8),
    max_tokens=st.none() | st.integers(1, 150),
    max_sentences=st.none() | st.integers(1, 30),
    multiple=st.integers(1, 9),
)
def test_runs_of_equal_lengths_are_cut_as_if_one_by_one(lengths, max_tokens, max_sentences, multiple) -> None:
    source, target = (np.repeat([row[side] for row in lengths], [row[2] for row in lengths]) for side in (0, 1))
    if max_tokens is None and max_sentences is None:
        max_sentences = 7
    found = cut_batches(source, target, max_tokens, max_sentences, multiple)
    assert found.tolist() == cut_one_by_one(source, target, max_tokens, max_sentences, multiple)


@pytest.mark.parametrize("longest", [50, 400])
def test_pairs_are_sorted_alike_by_short_numbers_and_long(longest: int) -> None:
    generator = np.random.default_rng(3)
    source, target = generator.integers(1, longest, (2, 3000))
    key = sort_key(source, target, 3)
    assert (key.dtype == np.uint16) == (longest == 50)
    order = np.argsort(key, kind="stable")
    assert all(np.diff(target[order] // 3) >= 0)
    for band in range(longest // 3):
        inside = source[order][target[order] // 3 == band]
        assert all(np.diff(inside) >= 0) if band % 2 == 0 else all(np.diff(inside) <= 0)


@pytest.mark.parametrize(("size", "per_update"), [(1, 1), (2, 1), (3, 1), (2, 4)])
def test_ranks_share_every_batch_and_every_pair_comes_once(size: int, per_update: int) -> None:
    random = np.random.default_rng(5)
    lengths = random.integers(1, 30, 97), random.integers(1, 30, 97)
    samplers = [
        BatchSampler(
            *lengths, max_tokens=120, seed=3, size_multiple=1, per_update=per_update, rank=rank, num_ranks=size
        )
        for rank in range(size)
    ]
    whole = list(BatchSampler(*lengths, max_tokens=120, seed=3, size_multiple=1))
    shares = [sampler.shares() for sampler in samplers]
    seen: list[int] = []
    updates = [list(zip(*(next(share) for share in shares), strict=True)) for _ in range(samplers[0].updates_per_epoch)]
    assert [len(update) for update in updates[:-1]] == [per_update] * (len(updates) - 1)
    for batch, parts in zip(whole, chain.from_iterable(updates), strict=True):
        counted = [indices.tolist() for indices, counts in parts if counts]
        together = [index for indices in counted for index in indices]
        assert sorted(together) == sorted(batch.tolist())
        assert all(len(indices) > 0 for indices, _ in parts)
        assert max(map(len, counted)) - min(map(len, counted)) <= 1
        seen += together
    assert sorted(seen) == list(range(97))
    assert all(sampler.epoch == 1 for sampler in samplers)
    assert [s.state_dict() for s in samplers] == [samplers[0].state_dict()] * size
