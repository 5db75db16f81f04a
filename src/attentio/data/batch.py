"""Batches by token budget, of like lengths, reproducible by seed. The sampler's place can be saved and restored.

`BatchSampler` decides which pairs go together and in which order, from lengths alone. `collate` turns the indices of
one batch into padded tensors. Neither holds a Python object per sentence, so five million pairs cost a few arrays.
"""

from collections.abc import Iterator
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from attentio.data.corpus import EncodedCorpus
from attentio.data.links import TokenLinks
from attentio.data.subword_regularization import Rows, TokenSplits, move_links
from attentio.text.special import SPECIAL

# Widths of the bands of target lengths that are tried: the smaller the corpus for its batches, the wider is best.
_BANDS = (1, 2, 3, 4, 6, 8)
_GOOD_PADDING = 0.02


class Batch(NamedTuple):
    """One padded batch: B pairs, S and T the longest source and target including their end token."""

    source: torch.Tensor  # (B, S) int64, ends with eos, padded with 0
    source_lengths: torch.Tensor  # (B,) int64, eos counted
    target_in: torch.Tensor  # (B, T) int64, begins with bos
    target_out: torch.Tensor  # (B, T) int64, ends with eos, padded with 0
    num_target_tokens: int  # positions of target_out that are not padding
    links: torch.Tensor | None = None  # (L, 3) known links, where there are any: row, target and source position

    def to(self, device: torch.device | str) -> "Batch":
        return Batch._make(t.to(device, non_blocking=True) if isinstance(t, torch.Tensor) else t for t in self)

    def halves(self) -> "list[Batch]":
        """Return the batch as two of half as many pairs, or as it is when it has one pair."""
        middle = len(self.source) // 2
        return [self._rows(0, middle), self._rows(middle, len(self.source))] if middle else [self]

    def _rows(self, start: int, end: int) -> "Batch":
        source, source_lengths, target_in, target_out = (tensor[start:end] for tensor in self[:4])
        links = self.links
        if links is not None:
            links = links[(links[:, 0] >= start) & (links[:, 0] < end)] - links.new_tensor([start, 0, 0])
        num_target_tokens = int((target_out != SPECIAL.pad).sum())
        return Batch(source, source_lengths, target_in, target_out, num_target_tokens, links)


class SubwordRegularization(NamedTuple):
    """Subword regularization of one batch: the `share` of tokens to split, and the randomness."""

    source: TokenSplits | None
    target: TokenSplits | None
    share: float
    generator: np.random.Generator


class BatchSampler:
    """Batches of indices: pairs of like lengths together, in an order that differs every epoch.

    max_tokens: the most positions of a batch, padding and end tokens included. B pairs with sources of up to S and
        targets of up to T positions take `B * (S + T)`. A pair longer than the budget makes a batch of its own.
    max_sentences: the most pairs of a batch. Give one of the two bounds, or both.
    length_multiple, size_multiple: lengths are rounded up and B is rounded down to these. So few shapes occur.

    Iterating yields what remains of the current epoch and moves on to the next. `state_dict`, taken between two
    batches, says where to resume. The same seed and epoch give the same batches, whatever was drawn before.

    per_update: the batches of one update of the weights. The last update of an epoch takes those that remain.

    `shares` gives `rank` of `num_ranks` processes every `num_ranks`-th pair of each batch: shares of like lengths. The
    batches are the same for any number of processes, so that a run may go on with another number.
    """

    def __init__(
        self,
        source_lengths: npt.NDArray[np.integer[Any]],
        target_lengths: npt.NDArray[np.integer[Any]],
        *,
        max_tokens: int | None = None,
        max_sentences: int | None = None,
        seed: int = 0,
        length_multiple: int = 1,
        size_multiple: int = 8,
        per_update: int = 1,
        rank: int = 0,
        num_ranks: int = 1,
    ) -> None:
        if len(source_lengths) != len(target_lengths):
            raise ValueError(f"{len(source_lengths)} source lengths but {len(target_lengths)} target lengths")
        if len(source_lengths) == 0:
            raise ValueError("no pairs to make batches of")
        if max_tokens is None and max_sentences is None:
            raise ValueError("give max_tokens, max_sentences or both")
        self.seed = seed
        self.per_update = per_update
        self.rank, self.num_ranks = rank, num_ranks
        self.epoch = 0
        self.position = 0
        source = _rounded(source_lengths, length_multiple)
        target = _rounded(target_lengths, length_multiple)
        real = int(source_lengths.sum()) + int(target_lengths.sum()) + 2 * len(source)
        self.padding = np.inf
        for band in _BANDS:
            key = sort_key(source, target, band)
            order = np.argsort(key, kind="stable")
            # Only pairs of equal lengths change places between epochs, so the cuts hold for all of them.
            cuts = cut_batches(source[order], target[order], max_tokens, max_sentences, size_multiple)
            widest = [np.maximum.reduceat(side[order], cuts[:-1]) for side in (source, target)]
            padding = 1 - real / int((np.diff(cuts) * (widest[0] + widest[1])).sum())
            if padding >= self.padding:
                break
            self.padding, self._key, self._cuts = padding, key, cuts
            if padding < _GOOD_PADDING:
                break

    def __len__(self) -> int:
        """Return the number of batches in an epoch."""
        return len(self._cuts) - 1

    @property
    def updates_per_epoch(self) -> int:
        """The number of updates of the weights in an epoch."""
        return -(-len(self) // self.per_update)

    def __iter__(self) -> Iterator[npt.NDArray[np.int64]]:
        generator = np.random.default_rng([self.seed, self.epoch])
        shuffled = generator.permutation(len(self._key))
        order = shuffled[np.argsort(self._key[shuffled], kind="stable")]
        for number in generator.permutation(len(self))[self.position :]:
            # Moved before the batch is handed out: a state taken while it is in use must not repeat it.
            self.position += 1
            if self.position == len(self):
                self.epoch, self.position = self.epoch + 1, 0
            yield order[self._cuts[number] : self._cuts[number + 1]]

    def shares(self) -> Iterator[list[tuple[npt.NDArray[np.int64], bool]]]:
        """Yield, for every update without end, this rank's pairs of each of its batches, and whether they count.

        A rank for which a small batch has no pair is given the first one again. It does not count.
        """
        while True:
            batches = iter(self)
            while update := list(islice(batches, self.per_update)):
                parts = [(indices[self.rank :: self.num_ranks], indices[:1]) for indices in update]
                yield [(mine, True) if len(mine) else (first, False) for mine, first in parts]

    def state_dict(self) -> dict[str, int]:
        """Return seed, epoch, position in the epoch, and the numbers of pairs and batches."""
        place = {"seed": self.seed, "epoch": self.epoch, "position": self.position}
        return place | {"pairs": len(self._key), "batches": len(self)}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Resume where `state` was taken. The data and the budget must be the same."""
        if (state["pairs"], state["batches"]) != (len(self._key), len(self)):
            raise ValueError(
                f"state of {state['pairs']} pairs in {state['batches']} batches, not {len(self._key)} in {len(self)}"
            )
        self.seed, self.epoch, self.position = state["seed"], state["epoch"], state["position"]


def collate(
    corpus: EncodedCorpus,
    indices: npt.NDArray[np.int64],
    *,
    length_multiple: int = 1,
    links: TokenLinks | None = None,
    splitting: SubwordRegularization | None = None,
) -> Batch:
    """Return the pairs of `indices` as padded tensors, with `links`. S and T are multiples of `length_multiple`."""
    sides = [Rows(*corpus.source.rows(indices)), Rows(*corpus.target.rows(indices))]
    found = None if links is None else links.batch(indices)  # columns: row, target, source
    for side, splits in enumerate(splitting[:2] if splitting is not None else ()):
        if splitting is not None and splits is not None:
            rows = sides[side]
            sides[side], places = splits(rows, splitting.share, splitting.generator)
            found = None if found is None else move_links(found, rows.lengths, places, 2 - side)
    source, source_lengths = _padded(sides[0], length_multiple)
    target, target_lengths = _padded(sides[1], length_multiple)
    target_in = np.empty_like(target)
    target_in[:, 0] = SPECIAL.bos
    target_in[:, 1:] = np.where(target[:, :-1] == SPECIAL.eos, SPECIAL.pad, target[:, :-1])
    tensors = map(torch.from_numpy, (source, source_lengths, target_in, target))
    return Batch._make([*tensors, int(target_lengths.sum()), None if found is None else torch.from_numpy(found)])


def _padded(rows: Rows, length_multiple: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Padded ids (B, L) with eos at the end of each row, and lengths (B,) with eos counted."""
    tokens, lengths = rows
    width = -(-(int(lengths.max()) + 1) // length_multiple) * length_multiple
    inside = np.arange(width) < lengths[:, None]  # (B, L)
    ids = np.full(inside.shape, SPECIAL.pad, dtype=np.int64)
    ids[inside] = tokens
    ids[np.arange(len(lengths)), lengths] = SPECIAL.eos
    return ids, lengths + 1


def _rounded(lengths: npt.NDArray[np.integer[Any]], multiple: int) -> npt.NDArray[np.int64]:
    """Return the positions that a sentence takes in a batch: its tokens and eos, rounded up."""
    return -(-(lengths.astype(np.int64) + 1) // multiple) * multiple


def sort_key(
    source: npt.NDArray[np.int64], target: npt.NDArray[np.int64], band: int = 1
) -> npt.NDArray[np.integer[Any]]:
    """Order pairs by bands of target length, and in each by source length, up and down by turns: neighbors are alike.

    Equal keys mean equal lengths on both sides.
    """
    widest = int(source.max(initial=0)) + 1
    bands, rest = np.divmod(target, band)
    snake = np.where(bands % 2 == 0, source, widest - source)
    key = (bands * (widest + 1) + snake) * band + rest
    return key.astype(np.uint16) if key.max(initial=0) < 1 << 16 else key  # numbers of 16 bits are sorted by counting


def cut_batches(
    source: npt.NDArray[np.int64],
    target: npt.NDArray[np.int64],
    max_tokens: int | None,
    max_sentences: int | None,
    size_multiple: int,
) -> npt.NDArray[np.int64]:
    """Return where the sorted pairs are cut into batches: N_batches + 1 boundaries."""
    cuts = [0]
    changes = np.flatnonzero((np.diff(source) != 0) | (np.diff(target) != 0)) + 1
    while (start := cuts[-1]) < len(source):
        size = min(max_sentences or len(source), len(source) - start)
        if max_tokens is not None:
            size = max(1, min(size, max_tokens // int(source[start] + target[start])))
        # In a large corpus many pairs in a row have the same lengths: as many batches of the same size.
        change = int(np.searchsorted(changes, start, side="right"))
        alike = min(int(changes[change]) if change < len(changes) else len(source), len(source) - 1)
        if start + size <= alike:
            step = size - size % size_multiple if size > size_multiple else size
            cuts.extend(range(start + step, alike - size + step + 1, step))
            continue
        if max_tokens is not None:
            widths = np.maximum.accumulate(source[start : start + size]) + np.maximum.accumulate(
                target[start : start + size]
            )
            # Cost grows with every pair, so the last one within the budget is found by bisection.
            size = int(np.searchsorted(np.arange(1, len(widths) + 1) * widths, max_tokens, side="right"))
        if start + size < len(source) and size > size_multiple:
            size -= size % size_multiple
        cuts.append(start + max(size, 1))
    return np.array(cuts, dtype=np.int64)
