"""Greedy search: the likeliest token at every step."""

import torch
from torch import Tensor

from attentio.model.seq2seq import Seq2Seq
from attentio.search.hypothesis import Choice, Hypothesis, Trail

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
    sentences = list(range(source.shape[0]))  # which sentence each row decodes
    totals = [0.0] * source.shape[0]
    found: list[Hypothesis | None] = [None] * source.shape[0]
    trail = Trail()
    for length in range(1, max(max_lengths) + 1):
        logits, state = model.decoder.step(tokens, state)
        logits = logits.float()
        logits[:, NEVER] = -torch.inf
        best, tokens = logits.max(dim=-1)
        log_probs = (best - logits.logsumexp(dim=-1)).tolist()
        going: list[int] = []
        choices = [Choice(*choice) for choice in zip(range(len(sentences)), tokens.tolist(), log_probs, strict=True)]
        for choice, sentence in zip(choices, sentences, strict=True):
            totals[sentence] += choice.log_prob
            if choice.token == EOS_ID or length >= max_lengths[sentence]:
                found[sentence] = trail.read(choice, totals[sentence], length_penalty)
            else:
                going.append(choice.row)
        if not going:
            break
        if len(going) < len(sentences):
            rows = torch.tensor(going, device=source.device)
            state, tokens = state.select(rows), tokens[rows]
            sentences = [sentences[row] for row in going]
        trail.append([choices[row] for row in going])
    return [hypothesis for hypothesis in found if hypothesis is not None]
