"""Beam search, vectorised over sentences and hypotheses."""

import torch
from torch import Tensor

from attentio.model.seq2seq import Seq2Seq
from attentio.search.greedy import BOS_ID, EOS_ID, NEVER
from attentio.search.hypothesis import Choice, Hypothesis, Trail, ranking_score


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

    Each sentence holds K open hypotheses, K rows of the batch. At every step their 2K likeliest continuations are
    considered: those among the first K that end are finished, the K likeliest that do not end stay open. A sentence
    leaves the batch when it has K finished hypotheses and no open one outranks the worst of them as it stands, or after
    max_lengths[b] tokens, where open hypotheses count as finished.
    """
    beam = beam_size
    found: list[list[Hypothesis]] = [[] for _ in max_lengths]
    sentences = list(range(len(max_lengths)))  # which sentence each group of K rows decodes
    state = model.decoder.start(model.encode(source, lengths))
    state = state.select(torch.arange(len(sentences), device=source.device).repeat_interleave(beam))
    tokens = source.new_full((len(sentences) * beam,), BOS_ID)
    totals = torch.full((len(sentences), beam), -torch.inf, device=source.device)
    totals[:, 0] = 0  # the K rows are still equal: one of them is enough
    trail = Trail()
    for length in range(1, max(max_lengths) + 1):
        logits, state = model.decoder.step(tokens, state)
        logits = logits.float()
        logits[:, NEVER] = -torch.inf
        log_probs = logits.log_softmax(dim=-1)  # (G K, V)
        groups, vocab = len(sentences), log_probs.shape[-1]
        continued = (totals.view(-1, 1) + log_probs).view(groups, beam * vocab)
        best, flat = continued.topk(min(2 * beam, beam * vocab), dim=-1)  # (G, 2K)
        chosen = flat % vocab
        rows = flat // vocab + torch.arange(0, groups * beam, beam, device=source.device)[:, None]
        ends = chosen == EOS_ID
        # The likeliest K that do not end, in order of likelihood.
        stay = ends.to(torch.uint8).sort(dim=-1, stable=True).indices[:, :beam]  # (G, K)
        totals = best.masked_fill(ends, -torch.inf).gather(1, stay)

        candidates = _choices(rows, chosen, log_probs[rows, chosen])
        going: list[int] = []
        next_choices: list[Choice] = []
        for group, (sentence, scores, ended, order, open_totals) in enumerate(
            zip(sentences, best.tolist(), ends.tolist(), stay.tolist(), totals.tolist(), strict=True)
        ):
            hypotheses = found[sentence]
            for rank in range(beam):
                if ended[rank] and scores[rank] > -torch.inf:
                    hypotheses.append(trail.read(candidates[group][rank], scores[rank], length_penalty))
            open_choices = [candidates[group][rank] for rank in order]
            if length >= max_lengths[sentence]:
                for choice, total in zip(open_choices, open_totals, strict=True):
                    if total > -torch.inf:
                        hypotheses.append(trail.read(choice, total, length_penalty))
            hypotheses.sort(key=lambda hypothesis: -hypothesis.score)
            del hypotheses[beam:]
            settled = len(hypotheses) == beam and hypotheses[-1].score >= ranking_score(
                open_totals[0], length, length_penalty
            )
            if length < max_lengths[sentence] and not settled and open_totals[0] > -torch.inf:
                going.append(group)
                next_choices.extend(open_choices)
        if not going:
            break
        rows, tokens = rows.gather(1, stay), chosen.gather(1, stay)
        if len(going) < groups:
            kept = torch.tensor(going, device=source.device)
            state, totals, tokens = state.select(rows[kept].flatten()), totals[kept], tokens[kept].flatten()
            sentences = [sentences[group] for group in going]
        else:
            state, tokens = state.reorder(rows.flatten()), tokens.flatten()
        trail.append(next_choices)
    return found


def _choices(rows: Tensor, tokens: Tensor, log_probs: Tensor) -> list[list[Choice]]:
    return [
        [Choice(*choice) for choice in zip(*group, strict=True)]
        for group in zip(rows.tolist(), tokens.tolist(), log_probs.tolist(), strict=True)
    ]
