"""Greedy search: the likeliest token at every step."""

import torch
from torch import Tensor

from attentio.model.seq2seq import Seq2Seq
from attentio.search.hypothesis import Hypothesis, Trail, enough_have_left

BOS_ID, EOS_ID = 1, 2
NEVER = [0, BOS_ID]  # padding and beginning-of-sentence are no output


@torch.inference_mode()
def greedy_search(
    model: Seq2Seq, source: Tensor, lengths: Tensor, max_lengths: list[int], *, length_penalty: float = 1.0
) -> list[Hypothesis]:
    """Translates source (B, S), lengths (B,); sentence b ends with eos or after max_lengths[b] tokens.

    Finished sentences leave the batch. The score is that of a beam search with the same `length_penalty`.
    """
    state = model.decoder.start(model.encode(source, lengths))
    tokens = source.new_full((source.shape[0],), BOS_ID)
    limits = torch.tensor(max_lengths, device=source.device)
    sentences = list(range(source.shape[0]))  # which sentence each row decodes
    found: list[Hypothesis | None] = [None] * source.shape[0]
    trail = Trail()
    for length in range(1, max(max_lengths) + 1):
        logits, state, _ = model.decoder.step(tokens, state)
        logits = logits.float()
        logits[:, NEVER] = -torch.inf
        best, tokens = logits.max(dim=-1)
        log_probs = best - logits.logsumexp(dim=-1)
        over = (tokens == EOS_ID) | (limits <= length)
        rows = over.nonzero()[:, 0]
        for row, token, log_prob in zip(rows.tolist(), tokens[rows].tolist(), log_probs[rows].tolist(), strict=True):
            if found[sentences[row]] is None:  # else it is finished and has not left yet
                found[sentences[row]] = trail.read(row, token, log_prob, length_penalty=length_penalty)
        open_rows = [row for row, sentence in enumerate(sentences) if found[sentence] is None]
        if not open_rows:
            break
        kept = torch.arange(len(sentences), device=source.device)
        if enough_have_left(len(open_rows), len(sentences)):
            kept = torch.tensor(open_rows, device=source.device)
            state, tokens, log_probs, limits = state.select(kept), tokens[kept], log_probs[kept], limits[kept]
            sentences = [sentences[row] for row in open_rows]
        trail.append(kept, tokens, log_probs)
    return [hypothesis for hypothesis in found if hypothesis is not None]
