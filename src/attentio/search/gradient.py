"""Gradient times input: what a source token adds to the log-probability of a given target token, to first order."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch.func import functional_call

from attentio.model.seq2seq import Seq2Seq
from attentio.text.special import SPECIAL

_TABLE = "encoder.embedding.table"
_AT_ONCE = 16  # target tokens, each with a copy of the sentence


def gradient_times_input(model: Seq2Seq, source: Sequence[int], target: Sequence[int]) -> NDArray[np.float32]:
    """Return (T, S + 1): the gradient of each target token's log-probability by each source embedding, times it.

    The last column is the end of the source. The target is given (Li et al., 2016, section 5).
    model: one that computes in fp32, in evaluation mode, not packed. source, target: tokens without bos and eos, T of
    `target` with eos.
    """
    read = torch.tensor([*source, SPECIAL.eos])
    written = torch.tensor([SPECIAL.bos, *target[:-1]])
    table = model.get_parameter(_TABLE).detach()
    rows: list[torch.Tensor] = []
    for places in torch.arange(len(target)).split(_AT_ONCE):
        count = len(places)
        # A table of its own for this sentence: padding, then a row for each source token of each copy.
        rows_of = table[read].repeat(count, 1)  # (count * (S + 1), width)
        own = torch.cat([table[SPECIAL.pad][None], rows_of]).requires_grad_()
        given = {_TABLE: own}
        if model.lexicon is not None:  # it has a row for each source token, too
            of_rows = torch.cat([torch.tensor([SPECIAL.pad]), read.repeat(count)])
            given |= {f"lexicon.{name}": part for name, part in model.lexicon.of(of_rows).items()}
        tokens = torch.arange(1, len(own)).view(count, len(read))
        lengths = torch.full((count,), len(read))
        with torch.enable_grad():
            arguments = tokens, lengths, written.expand(count, -1)
            logits = functional_call(model, given, arguments, tie_weights=False)  # (count, T, V)
            chosen = logits[torch.arange(count), places].log_softmax(-1)
            total = chosen[torch.arange(count), torch.tensor(target)[places]].sum()
            (gradient,) = torch.autograd.grad(total, own)
        rows.append((gradient[1:] * rows_of).sum(-1).view(count, len(read)))
    return torch.cat(rows).numpy()
