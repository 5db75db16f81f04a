"""Beam search, vectorised over sentences and hypotheses."""

import torch
from torch import Tensor
from torch.nn import functional as F

from attentio.model.seq2seq import Seq2Seq
from attentio.search.greedy import BOS_ID, EOS_ID, NEVER
from attentio.search.hypothesis import Hypothesis, Trail, enough_have_left, ranking_score


@torch.inference_mode()
def beam_search(
    model: Seq2Seq,
    source: Tensor,
    lengths: Tensor,
    max_lengths: list[int],
    *,
    beam_size: int,
    length_penalty: float = 1.0,
) -> list[list[Hypothesis]]:
    """The `beam_size` best hypotheses found for each sentence, best first, for source (B, S), lengths (B,).

    Each sentence holds K open hypotheses, K rows of the batch; in the first step one. At every step their 2K likeliest
    continuations are considered: those among the first K that end are finished, the K likeliest that do not end stay
    open. A sentence leaves the batch when it has K finished hypotheses and no open one outranks the worst of them as it
    stands, or after max_lengths[b] tokens, where open hypotheses count as finished.
    """
    beam, device = beam_size, source.device
    found: list[list[Hypothesis]] = [[] for _ in max_lengths]
    done = [False] * len(max_lengths)
    sentences = list(range(len(max_lengths)))  # which sentence each group of K rows decodes
    limits = torch.tensor(max_lengths, device=device)
    state = model.decoder.start(model.encode(source, lengths))
    tokens = source.new_full((len(sentences),), BOS_ID)
    totals = torch.zeros(len(sentences), 1, device=device)
    trail = Trail()
    for length in range(1, max(max_lengths) + 1):
        logits, state, _ = model.decoder.step(tokens, state)
        logits = logits.float()
        logits[:, NEVER] = -torch.inf
        (groups, width), wide = totals.shape, min(2 * beam, logits.shape[-1])
        # The 2K likeliest continuations of a sentence are among the 2K likeliest of each of its rows.
        row_best, row_tokens = logits.log_softmax(dim=-1).topk(wide, dim=-1)  # (G K, 2K)
        continued = (totals.view(-1, 1) + row_best).view(groups, width * wide)
        best, place = continued.topk(min(2 * beam, width * wide), dim=-1)  # (G, 2K)
        if best.shape[1] < beam:  # fewer things to say than hypotheses: the others are impossible
            missing = 0, beam - best.shape[1]
            best, place = F.pad(best, missing, value=-torch.inf), F.pad(place, missing)
        chosen, log_probs = (x.view(groups, width * wide).gather(1, place) for x in (row_tokens, row_best))
        rows = place // wide + torch.arange(0, groups * width, width, device=device)[:, None]
        ends = chosen == EOS_ID
        # The likeliest K that do not end, in order of likelihood.
        stay = ends.to(torch.uint8).sort(dim=-1, stable=True).indices[:, :beam]  # (G, K)
        totals = best.masked_fill(ends, -torch.inf).gather(1, stay)

        finished = ends & (best > -torch.inf)
        finished[:, beam:] = False
        finished |= torch.zeros_like(finished).scatter_(1, stay, (totals > -torch.inf) & (limits <= length)[:, None])
        new = finished.nonzero()[:, 0].tolist(), *(x[finished].tolist() for x in (rows, chosen, log_probs, best))
        for group, row, token, log_prob, total in zip(*new, strict=True):
            if not done[sentences[group]]:  # else it has not left yet
                hypothesis = trail.read(row, token, log_prob, length_penalty=length_penalty, total=total)
                found[sentences[group]].append(hypothesis)
        for sentence, open_total in zip(sentences, totals[:, 0].tolist(), strict=True):
            if done[sentence]:
                continue
            hypotheses = found[sentence] = sorted(found[sentence], key=lambda hypothesis: -hypothesis.score)[:beam]
            settled = len(hypotheses) == beam and hypotheses[-1].score >= ranking_score(
                open_total, length, length_penalty
            )
            done[sentence] = settled or length >= max_lengths[sentence] or open_total == -torch.inf

        going = [group for group, sentence in enumerate(sentences) if not done[sentence]]
        if not going:
            break
        rows, tokens, log_probs = (x.gather(1, stay) for x in (rows, chosen, log_probs))
        kept = None
        if enough_have_left(len(going), groups):
            kept = torch.tensor(going, device=device)
            rows, tokens, log_probs, totals, limits = (x[kept] for x in (rows, tokens, log_probs, totals, limits))
            sentences = [sentences[group] for group in going]
        if length == 1:
            state = (state if kept is None else state.select(kept)).repeat(beam)
        else:
            state = state.reorder(rows.flatten()) if kept is None else state.select(rows.flatten())
        tokens = tokens.flatten()
        trail.append(rows.flatten(), tokens, log_probs.flatten())
    return found
