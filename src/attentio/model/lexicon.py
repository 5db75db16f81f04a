"""What each source token became in training, as a second voice beside the network (Arthur 2016).

A word that was seen once is hardly learned by a network, but a link shows what it became. What the lexicon says of a
source token counts as much as attention looks at it (section 3.1). Both voices are mixed linearly (section 3.2):

    p(y) = (1 - m) p_network(y) + Σ_s a_s l(y | x_s),    m = Σ_s a_s Σ_y l(y | x_s)

a are the weights of the last attention to the source, mean of its heads. It is also the one that links guide. Where
nothing is known, as of the end of a sentence, the network speaks alone. It also learns alone: a lexicon knows the
training pairs by heart.
"""

import torch
from torch import Tensor, nn

from attentio.attention import Memory
from attentio.attention.tensors import at_least_float32

MOST = 8  # target tokens that are known of a source token: those that it became most often


class Lexicon(nn.Module):
    """The table l(y | x): for each source token `MOST` target tokens and their shares, 0 where there are fewer.

    Its tensors have one axis, (V_source * MOST,), so that formats with 8 bits for matrices leave them as they are.
    """

    tokens: Tensor
    shares: Tensor

    def __init__(self, source_vocab: int) -> None:
        super().__init__()
        self.register_buffer("tokens", torch.zeros(source_vocab * MOST, dtype=torch.int64))
        self.register_buffer("shares", torch.zeros(source_vocab * MOST))

    def forward(self, source: Tensor) -> Memory:
        """Return what is known of source tokens (B, S): target tokens as keys, shares as values, (B, 1, S, MOST)."""
        tokens, shares = (table.view(-1, MOST)[source][:, None] for table in (self.tokens, self.shares))
        return Memory(tokens, shares, None, sharable=True)

    def of(self, tokens: Tensor) -> dict[str, Tensor]:
        """Return the tensors of a lexicon of these source tokens (V,) alone, by name."""
        return {name: part.view(-1, MOST)[tokens].flatten() for name, part in self.named_buffers()}

    @torch.no_grad()
    def learn(self, tokens: Tensor, shares: Tensor) -> None:
        """Take over what is known, both (V_source, MOST). What was known of tokens without a share there is kept."""
        new = (shares.sum(-1) > 0).repeat_interleave(MOST).to(self.tokens.device)
        self.tokens.copy_(torch.where(new, tokens.flatten().to(self.tokens), self.tokens))
        self.shares.copy_(torch.where(new, shares.flatten().to(self.shares), self.shares))


def mixed(logits: Tensor, known: Memory, weights: Tensor) -> Tensor:
    """Return log p(y), (R, T, V), for logits of the network (R, T, V).

    known: what `Lexicon` gives of the sentence that one row, or several in turn, translate. weights: (R, H, T, S).
    """
    tokens, shares = known.keys, known.values
    sentences, _, length, _ = shares.shape
    own = at_least_float32(logits).log_softmax(-1).reshape(sentences, -1, logits.shape[-1])  # (B, K T, V)
    looks = at_least_float32(weights).mean(1).reshape(sentences, -1, length, 1)
    each = looks * shares.to(looks.dtype)  # (B, K T, S, MOST)
    said = torch.zeros_like(own).scatter_add(2, tokens.expand(each.shape).flatten(2), each.flatten(2))
    alone = torch.log1p(-each.sum((2, 3)))[..., None]
    return torch.logaddexp(own + alone, said.log()).reshape(logits.shape)
