"""Token embeddings."""

import torch
from torch import Tensor, nn

from attentio.model.dropout import Dropout

PAD_ID = 0


class TokenEmbedding(nn.Module):
    """Looks tokens up in a (vocab_size, width) table and applies dropout; padding is zeros and stays zeros."""

    def __init__(self, vocab_size: int, width: int, dropout: float) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.empty(vocab_size, width))
        self.dropout = Dropout(dropout)
        nn.init.normal_(self.table, std=width**-0.5)
        with torch.no_grad():
            self.table[PAD_ID] = 0

    def forward(self, tokens: Tensor) -> Tensor:
        """tokens (...) -> embeddings (..., width)."""
        return self.dropout(nn.functional.embedding(tokens, self.table, padding_idx=PAD_ID))
