"""What each source token became in training, as a second voice beside the network (Arthur 2016).

A word that was seen once is hardly learned by a network, but a link shows what it became. What the lexicon says of a
source token counts as much as attention looks at it (section 3.1). Both voices are mixed linearly (section 3.2):

    p(y) = (1 - m) p_network(y) + Σ_s a_s l(y | x_s, y'),    m = Σ_s a_s Σ_y l(y | x_s, y')

a are the weights of the last attention to the source, mean of its heads. It is also the one that links guide.

y' is the target token before. It counts where x_s may become it. So a word of several tokens is said to its end, in
order, and once. Where nothing is known, as of the end of a sentence, the network speaks alone. It also learns alone: a
lexicon knows the training pairs by heart.
"""

import math

import torch
from torch import Tensor, nn

from attentio.attention import Memory
from attentio.attention.tensors import at_least_float32

MOST = 8  # cases that are known of a source token: the most frequent ones


class Lexicon(nn.Module):
    """The table l(y | x, y'): for each source token `MOST` cases, as `data.learned_links.LearnedLexicon` has them.

    A case is a target token, the one that it comes after, 0 for none of this source token, and a share.

    Its tensors have one axis, (V_source * MOST,), so that formats with 8 bits for matrices leave them as they are.
    """

    tokens: Tensor
    after: Tensor
    shares: Tensor

    def __init__(self, source_vocab: int) -> None:
        super().__init__()
        self.register_buffer("tokens", torch.zeros(source_vocab * MOST, dtype=torch.int64))
        self.register_buffer("after", torch.zeros(source_vocab * MOST, dtype=torch.int64))
        self.register_buffer("shares", torch.zeros(source_vocab * MOST))

    def forward(self, source: Tensor) -> Memory:
        """Return what is known of source tokens (B, S).

        Keys are the target tokens and what each comes after, (B, 1, S, 2 MOST). Values are shares, (B, 1, S, MOST).
        """
        tokens, after, shares = (
            part.view(-1, MOST)[source][:, None] for part in (self.tokens, self.after, self.shares)
        )
        return Memory(torch.cat([tokens, after], -1), shares, None, sharable=True)

    def of(self, tokens: Tensor) -> dict[str, Tensor]:
        """Return the tensors of a lexicon of these source tokens (V,) alone, by name."""
        return {name: part.view(-1, MOST)[tokens].flatten() for name, part in self.named_buffers()}

    @torch.no_grad()
    def learn(self, tokens: Tensor, after: Tensor, shares: Tensor) -> None:
        """Take over what is known, each (V_source, MOST). What was known of tokens without a share there is kept."""
        new = (shares.sum(-1) > 0).repeat_interleave(MOST).to(self.tokens.device)
        for held, given in ((self.tokens, tokens), (self.after, after), (self.shares, shares)):
            held.copy_(torch.where(new, given.flatten().to(held), held))


def mixed(logits: Tensor, known: Memory, weights: Tensor, before: Tensor) -> Tensor:
    """Return log p(y), (R, T, V), for logits of the network (R, T, V).

    known: what `Lexicon` gives of the sentence that one row, or several in turn, translate. weights: (R, H, T, S).
    before: the target tokens (R, T) that come before those looked for.
    """
    (tokens, after), shares = known.keys.chunk(2, -1), known.values
    sentences, _, length, _ = shares.shape
    own = at_least_float32(logits).log_softmax(-1).reshape(sentences, -1, logits.shape[-1])  # (B, K T, V)
    looks = at_least_float32(weights).mean(1).reshape(sentences, -1, length, 1)
    last = before.reshape(sentences, -1, 1, 1)
    begun = (tokens == last).any(-1, keepdim=True)  # (B, K T, S, 1): the token before is of this source token
    each = looks * shares.to(looks.dtype) * (after == torch.where(begun, last, 0))  # (B, K T, S, MOST)
    said = torch.zeros_like(own).scatter_add(2, tokens.expand(each.shape).flatten(2), each.flatten(2))
    alone = torch.log1p(-each.sum((2, 3)))[..., None]
    unsaid = said == 0
    log_said = said.masked_fill(unsaid, 1).log().masked_fill(unsaid, -math.inf)  # log 0 would have no gradient
    return torch.logaddexp(own + alone, log_said).reshape(logits.shape)
