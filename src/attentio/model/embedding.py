"""Token embeddings."""

import torch
from torch import Tensor, nn

from attentio.model.dropout import Dropout

PAD_ID = 0


class TokenEmbedding(nn.Module):
    """Looks tokens up in a (vocab_size, width) table; padding is zeros and stays zeros.

    In training `word_dropout` takes whole tokens out (Gal 2016), and `dropout` single numbers.
    """

    def __init__(self, vocab_size: int, width: int, dropout: float, word_dropout: float = 0.0) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.empty(vocab_size, width))
        self.word_dropout = Dropout(word_dropout)
        self.dropout = Dropout(dropout)
        nn.init.normal_(self.table, std=width**-0.5)
        with torch.no_grad():
            self.table[PAD_ID] = 0

    def words(self, tokens: Tensor) -> Tensor:
        """tokens (...) -> embeddings (..., width) of those that are left in."""
        found = nn.functional.embedding(tokens, self.table, padding_idx=PAD_ID)
        if self.training and self.word_dropout.threshold:
            found = found * self.word_dropout(found.new_ones(*tokens.shape, 1))
        return found

    def forward(self, tokens: Tensor) -> Tensor:
        """tokens (...) -> embeddings (..., width), both kinds of dropout applied."""
        return self.dropout(self.words(tokens))
