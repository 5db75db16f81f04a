"""What of a model has a row for each token, and how it grows with its vocabularies."""

from collections.abc import Mapping

import torch
from torch import Tensor

from attentio.text.special import SPECIAL

# Tensors with a row for each token, and the side of the vocabulary.
TOKEN_ROWS = {"encoder.embedding.table": 0, "decoder.embedding.table": 1, "decoder.output": 1, "decoder.bias": 1}


def with_token_rows(weights: Mapping[str, Tensor], vocab_sizes: tuple[int, int]) -> dict[str, Tensor]:
    """Return the weights, as of `unique_state_dict`, for larger vocabularies of source and target.

    The row of a new token is the mean of the rows that are no special tokens. All others stay as they are.
    """
    extended = dict(weights)
    for name, side in TOKEN_ROWS.items():
        if name in extended and (more := vocab_sizes[side] - len(extended[name])) > 0:
            rows = extended[name]
            mean = rows[len(SPECIAL) :].mean(dim=0, keepdim=True)
            extended[name] = torch.cat([rows, mean.expand(more, *rows.shape[1:])])
    return extended
