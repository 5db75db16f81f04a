"""The training loop, from a configuration and encoded pairs to the best model, to be read from top to bottom."""

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from attentio.attention.kernels.backend import WITH_WEIGHTS
from attentio.data.batch import SubwordRegularization, collate
from attentio.data.corpus import EncodedCorpus
from attentio.data.learned_links import learned_lexicon
from attentio.data.links import TokenLinks
from attentio.data.subword_regularization import TokenSplits
from attentio.model.families import build_model
from attentio.model.lexicon import MOST
from attentio.model.seq2seq import Seq2Seq
from attentio.runtime.choices import CHOSEN, use
from attentio.runtime.device import resolve_device
from attentio.runtime.precision import arithmetic, resolve_precision
from attentio.train.dev import DevScores
from attentio.train.distributed import ALONE, Ranks
from attentio.train.objective import check_objective, needs_weights
from attentio.train.reporter import Reporter
from attentio.train.settings import RunConfig
from attentio.train.state import LENGTH_MULTIPLE, Progress, TrainingState
from attentio.train.step import BusyThreads, TrainingStep, backward, backward_in_parts

NOT_EVALUATED = DevScores(0.0, 0.0, 0.0, 0.0, 0)  # of a rank that does not evaluate
MOST_PARTS = 2  # a batch that does not fit into memory is halved, once


def train(
    config: RunConfig,
    corpus: EncodedCorpus,
    vocab_sizes: tuple[int, int],
    checkpoints: Path,
    *,
    links: TokenLinks | None = None,
    splits: tuple[TokenSplits | None, TokenSplits | None] = (None, None),
    first_weights: Callable[[], Mapping[str, Tensor]] | None = None,
    evaluate: Callable[[Seq2Seq], DevScores] | None,
    publish: Callable[[Seq2Seq, Progress], None],
    reporter: Reporter,
    stop: Callable[[], bool] = lambda: False,
    ranks: Ranks = ALONE,
) -> Progress:
    """Train until done or until `stop()`, going on from the newest of `checkpoints` if there is one.

    links: known word links of the corpus. splits: how tokens of either side are split by subword regularization.
    first_weights: where to start instead of at random, as of `Seq2Seq.unique_state_dict`. Asked for at the start only.
    evaluate: how good a model is on dev. Each model better than those before it is handed to `publish`. Without
    `evaluate`, the last one is. When `stop()` asks for an early halt, the state is saved and `ended` is None.
    ranks: the processes that train together. Rank 0 decides, evaluates, publishes, reports and saves.
    """
    check_objective(config)
    settings = config.train
    device = resolve_device(settings.device)
    if ranks.size > 1:
        use(ranks.broadcast(dict(CHOSEN)))
    computing = partial(arithmetic, resolve_precision(settings.precision, device), device)
    torch.manual_seed(settings.seed)
    backend = WITH_WEIGHTS if needs_weights(config, with_links=links is not None) else "auto"
    sections = config.model, config.attention, *vocab_sizes
    model = build_model(*sections, self_attention=config.self_attention, backend=backend).to(device)
    state = TrainingState.first(model, corpus, settings, ranks)
    reporter = reporter if ranks.rank == 0 else Reporter()
    if not state.resume(checkpoints, settings, reporter.note) and first_weights is not None:
        state.start_with(first_weights())
    if links is not None and model.lexicon is not None:
        tokens, after, shares = map(torch.from_numpy, learned_lexicon(corpus, links, vocab_sizes[0], MOST))
        for lexicon in filter(None, (model.lexicon, state.average.model.lexicon)):
            lexicon.learn(tokens, after, shares * config.model.lexicon)
    layout = ranks.layout
    step = state.lay_out(layout, TrainingStep(model, settings))
    zero_grad = partial(state.optimizer.zero_grad, set_to_none=True)
    evaluate_every = settings.evaluate_every or max(50, state.sampler.updates_per_epoch)
    began = time.perf_counter() - state.progress.seconds  # everything counts: evaluating and saving, too

    threads = BusyThreads(device, ranks.size)
    shares = state.sampler.shares()
    while state.progress.ended is None and not ranks.total(stop()):
        started, number = time.perf_counter(), state.progress.step + 1
        update = next(shares)
        # Drawn from the number of the update alone, so that it is the same in a run that was resumed.
        generator = np.random.default_rng([settings.seed, number - 1, *([ranks.rank] if ranks.rank else [])])
        splitting = SubwordRegularization(*splits, settings.subword_regularization, generator)
        batches = [
            collate(
                corpus,
                indices,
                length_multiple=LENGTH_MULTIPLE,
                links=links,
                splitting=splitting if settings.subword_regularization > 0 else None,
            ).to(device)
            for indices, _ in update
        ]
        for group in state.optimizer.param_groups:
            group["lr"] = state.plan.rate(number - 1, settings)
        model.train()
        ranks.part_ways(settings.seed, number)
        mine = [batch.num_target_tokens * counts for batch, (_, counts) in zip(batches, update, strict=True)]
        tokens = int(ranks.total(sum(mine)))
        # Gradients are averaged over ranks, and the mean is one over all tokens of the update.
        weighted = [(batch, ranks.size * count / tokens) for batch, count in zip(batches, mine, strict=True)]
        attempt = partial(backward, step, weighted, adding=layout.adding, computing=computing)
        most = MOST_PARTS if ranks.size == 1 else 1  # one of several ranks cannot halve a batch by itself
        largest = max(batches, key=lambda batch: batch.source.numel() + batch.target_in.numel())
        with threads.at_work(partial(attempt, state.parts), model.parameters(), zero_grad):
            loss, state.parts = backward_in_parts(
                attempt, zero_grad, state.parts, largest, reporter.note, most_parts=most
            )
            state.update(settings.clip_norm)

        now = time.perf_counter()
        progress = state.progress.after(ranks.total(loss) / ranks.size, tokens, ranks.broadcast(now - began))
        epoch = number / state.sampler.updates_per_epoch
        state.plan = state.plan.after(number, progress.seconds, settings)
        speed = tokens / (now - started)
        reporter.update(progress, epoch=epoch, total_steps=state.plan.total_steps, tokens_per_second=speed)

        over = state.plan.stop_reason(number, progress.seconds)
        if evaluate is not None and (number % evaluate_every == 0 or over is not None):
            with layout.whole(state.average.model):
                scores = evaluate(state.average.model.eval()) if ranks.rank == 0 else NOT_EVALUATED
                progress = progress.judged(ranks.broadcast(scores))
                if progress.best_step == number and ranks.rank == 0:
                    publish(state.average.model, progress)
            progress = replace(progress, seconds=ranks.broadcast(time.perf_counter() - began))
            reporter.evaluated(progress, epoch=epoch)
            if 0 < settings.patience <= progress.stale_evaluations:
                over = over or "no longer better on dev"
        state.progress = progress = replace(progress, ended=over)
        if over is not None and evaluate is None:
            with layout.whole(state.average.model):
                if ranks.rank == 0:
                    publish(state.average.model, progress)
        due = progress.seconds - state.saved_at >= settings.save_every_seconds
        if over is not None or state.plan.revised_at == number or due:
            state.save(checkpoints, ranks)
    if state.progress.ended is None:
        state.save(checkpoints, ranks)
    return state.progress
