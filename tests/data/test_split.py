"""Splitting: components against plain union-find, no leak ever, and the published figures of the seed's file."""

import random
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attentio.data.source import Pair, read_pairs
from attentio.data.split import (
    DEV,
    TEST,
    TRAIN,
    components,
    contained,
    groups,
    hashes,
    leak,
    repeated,
    split,
    split_keys,
)

EDGES = st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)), min_size=1, max_size=40)


def union_find(source: list[int], target: list[int]) -> list[int]:
    """The definition: the smallest pair of each component, by joining one pair at a time."""
    parent = list(range(len(source)))

    def root(i: int) -> int:
        while parent[i] != i:
            i = parent[i]
        return i

    for side in (source, target):
        first: dict[int, int] = {}
        for i, key in enumerate(side):
            a, b = root(i), root(first.setdefault(key, i))
            parent[max(a, b)] = min(a, b)
    return [root(i) for i in range(len(source))]


def sides(edges: list[tuple[int, int]]) -> tuple[np.ndarray, np.ndarray]:
    held = np.array(edges, dtype=np.int64)
    return held[:, 0], held[:, 1]


@settings(max_examples=40)
@given(edges=EDGES)
def test_components_are_those_of_union_find(edges: list[tuple[int, int]]) -> None:
    source, target = sides(edges)
    assert components(groups(source), groups(target)).tolist() == union_find(source.tolist(), target.tolist())


@pytest.mark.slow
@pytest.mark.timeout(60)  # labels must travel along chains in a few rounds, not one pair a round
@pytest.mark.parametrize("order", ["backward", "shuffled"])
def test_a_long_chain_is_one_component(order: str) -> None:
    edges = [pair for i in range(60_000) for pair in ((i, i), (i, i + 1))]
    if order == "backward":
        edges.reverse()
    elif order == "shuffled":
        np.random.default_rng(0).shuffle(edges)
    assert not components(*map(groups, sides(edges))).any()


@settings(max_examples=40)
@given(edges=EDGES, dev=st.integers(0, 12), test=st.integers(0, 12), seed=st.integers(0, 9))
def test_no_sentence_stands_on_both_sides(edges: list[tuple[int, int]], dev: int, test: int, seed: int) -> None:
    source, target = sides(edges)
    parts = (source % 2).astype(np.int16)
    assigned = split(components(groups(source), groups(target)), parts, [dev, dev], [test, test], seed)
    for a, b in ((TRAIN, DEV), (TRAIN, TEST), (DEV, TEST)):
        for side in (source, target):
            assert not set(side[assigned == a]) & set(side[assigned == b])
    for part in (0, 1):
        assert (assigned[parts == part] == DEV).sum() <= dev
        assert (assigned[parts == part] == TEST).sum() <= test
    found = leak(source, target, assigned)
    assert found is None or (found.source, found.target, found.either) == (0, 0, 0)
    assert np.array_equal(
        assigned, split(components(groups(source), groups(target)), parts, [dev, dev], [test, test], seed)
    )


def test_as_many_are_held_out_as_were_asked_for() -> None:
    labels = np.arange(1000)
    parts = np.repeat([0, 1], 500).astype(np.int16)
    assigned = split(labels, parts, [10, 20], [30, 0], seed=4)
    counts = [[int((assigned[parts == part] == name).sum()) for name in (TRAIN, DEV, TEST)] for part in (0, 1)]
    assert counts == [[460, 10, 30], [480, 20, 0]]
    assert not np.array_equal(assigned, split(labels, parts, [10, 20], [30, 0], seed=5))


def test_a_component_too_large_to_hold_out_stays_in_train() -> None:
    labels = np.array([0] * 50 + list(range(50, 60)))
    assigned = split(labels, np.zeros(60, dtype=np.int16), [5], [4], seed=0)
    assert (assigned[:50] == TRAIN).all()
    assert (assigned != TRAIN).sum() == 9


def test_a_component_that_spans_corpora_stays_in_train() -> None:
    assigned = split(np.array([0, 0, 2, 3]), np.array([0, 1, 0, 1], dtype=np.int16), [0, 0], [2, 2], seed=0)
    assert assigned.tolist() == [TRAIN, TRAIN, TEST, TEST]


def test_leak_by_hand() -> None:
    source, target = np.array([1, 2, 1, 3, 4]), np.array([1, 2, 9, 2, 5])
    assigned = np.array([TRAIN, TRAIN, TEST, DEV, TEST], dtype=np.uint8)
    found = leak(source, target, assigned)
    assert found is not None
    assert (found.source, found.target, found.either) == pytest.approx((1 / 3, 1 / 3, 2 / 3))
    assert leak(source, target, np.zeros(5, dtype=np.uint8)) is None


@settings(max_examples=40)
@given(these=st.lists(st.integers(-5, 5)), those=st.lists(st.integers(-5, 5)))
def test_contained_is_in(these: list[int], those: list[int]) -> None:
    held = (np.array(side, dtype=np.int64) for side in (these, those))
    assert contained(*held).tolist() == [x in those for x in these]


@given(keys=st.lists(st.integers(-4, 4)))
def test_repeated_and_groups_are_what_a_dictionary_says(keys: list[int]) -> None:
    held = np.array(keys, dtype=np.int64)
    assert repeated(held).tolist() == [key in keys[:place] for place, key in enumerate(keys)]
    assert groups(held).tolist() == [sorted(set(keys)).index(key) for key in keys]


def test_all_but_the_first_of_equal_pairs_are_repeated() -> None:
    assert repeated(hashes(["a", "b", "a", "c", "b", "a"], 6)).tolist() == [False, False, True, False, True, True]


# The seed's file, against figures computed before this code was written


@pytest.fixture(scope="module")
def seed_pairs(shared_data: Path) -> list[Pair]:
    return list(read_pairs(shared_data / "cmn-2018.txt"))


def keyed(pairs: list[Pair], *, han: bool) -> tuple[np.ndarray, np.ndarray]:
    sides = split_keys([p.source for p in pairs], han=False), split_keys([p.target for p in pairs], han=han)
    return hashes(sides[0], len(pairs)), hashes(sides[1], len(pairs))


@pytest.mark.slow
def test_components_of_the_seeds_file(seed_pairs: list[Pair]) -> None:
    sizes = np.bincount(components(*map(groups, keyed(seed_pairs, han=False))))
    assert (sizes > 0).sum() == 19_632
    assert sizes.max() == 10


@pytest.mark.slow
def test_what_a_random_split_of_the_seeds_file_leaks(seed_pairs: list[Pair]) -> None:
    """The published means of five random 90/5/5 splits: 5.0 % by source, 5.9 % by target, 10.2 % by either."""
    count = len(seed_pairs)
    source, target = (hashes((pair[side] for pair in seed_pairs), count) for side in (0, 1))
    shares: list[tuple[float, float, float]] = []
    for seed in range(5):
        order = list(range(count))
        random.Random(seed).shuffle(order)
        rows = np.array(order[: int(0.9 * count)] + order[int(0.95 * count) :])
        assigned = np.where(np.arange(len(rows)) < int(0.9 * count), TRAIN, TEST).astype(np.uint8)
        found = leak(source[rows], target[rows], assigned)
        assert found is not None
        shares.append((found.source, found.target, found.either))
    assert np.round(100 * np.mean(shares, axis=0), 1).tolist() == [5.0, 5.9, 10.2]


@pytest.mark.slow
def test_a_grouped_split_of_the_seeds_file_leaks_nothing(seed_pairs: list[Pair]) -> None:
    keys = keyed(seed_pairs, han=True)
    labels = components(*map(groups, keys))
    assigned = split(labels, np.zeros(len(labels), dtype=np.int16), [1050], [1050], seed=1)
    assert [(assigned == name).sum() for name in (DEV, TEST)] == [1050, 1050]
    found, drawn = leak(*keys, assigned), leak(*keys, np.random.default_rng(1).permutation(assigned))
    assert found is not None
    assert drawn is not None
    assert found.either == 0
    assert 0.08 < drawn.either < 0.13
