"""The object that everything outside training uses: text in, text out, with what the model attended to.

translator = Translator.load("runs/en-zh")
translation = translator("I love you.")
translation.text, translation.score, translation.trace

A `Translator` keeps nothing of a call, so that any number of threads may use one.
"""

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray

from attentio.bundle import Bundle
from attentio.errors import UsageError
from attentio.runtime.device import resolve_device
from attentio.search.attended import CANDIDATES
from attentio.search.batched import Asked, SearchConfig, search_batches
from attentio.search.decode import Cancelled, SearchStep
from attentio.search.forced import forced_batches
from attentio.search.hypothesis import Hypothesis
from attentio.text.script import ends_without_space
from attentio.text.special import EOS_TOKEN
from attentio.text.tokenizer import Tokenizer
from attentio.trace import AttentionTrace

if TYPE_CHECKING:  # loaded only where something is constrained
    from attentio.search.constraint import Constraint

_SENTENCE_END = re.compile(r"(?<=[.!?;])\s+|(?<=[。！？；])")


@dataclass(frozen=True)
class Translation:
    """One source and its translation.

    source: the text as the model read it, cleaned.
    score: natural logarithm of the probability, divided by the length to the power of the length penalty.
    nbest: the best hypotheses, best first, with `text` the first.
    unseen: characters or words of the source that training never saw.
    parts: the translations that a text too long for the model was put together from. Each has its own trace.
    """

    source: str
    text: str
    score: float
    nbest: tuple[tuple[str, float], ...] = ()
    unseen: tuple[str, ...] = ()
    trace: AttentionTrace | None = None
    parts: "tuple[Translation, ...]" = ()


@dataclass(frozen=True)
class Progress:
    """What a callback sees of one text at one step of the search.

    index: which of the texts that were given. text: the best translation as far as it is written. finished: whether it
    is complete. candidates: the likeliest next tokens at this step with their probabilities, likeliest first.
    """

    index: int
    text: str
    finished: bool
    candidates: tuple[tuple[str, float], ...]


class Translator:
    """Translate text with a trained model."""

    def __init__(self, bundle: Bundle, *, device: str = "auto", precision: str = "fp32") -> None:
        self.bundle = bundle
        self.model = bundle.ready(resolve_device(device), precision=precision)
        self.max_length = bundle.max_length

    @classmethod
    def load(cls, run: str | Path, *, device: str = "auto", precision: str = "fp32") -> Self:
        """Open the model of a run folder, to compute in fp32, in bf16, or, "auto", in bf16 where that is fast.

        Raises ModelError when it is missing or damaged.
        """
        return cls(Bundle.load(run), device=device, precision=precision)

    @property
    def source_language(self) -> str | None:
        """Return the language code of what it reads, as far as known."""
        return self.bundle.source.language

    @property
    def target_language(self) -> str | None:
        """Return the language code of what it writes, as far as known."""
        return self.bundle.target.language

    def __call__(self, text: str, *, beam_size: int = 1, length_penalty: float = 1.0) -> Translation:
        """Translate one text and keep what was attended to."""
        return self.translate([text], SearchConfig(beam_size, length_penalty), trace=True)[0]

    def translate(
        self,
        texts: Sequence[str],
        config: SearchConfig | None = None,
        *,
        trace: bool = False,
        prefix: str | Sequence[str] = "",
        require: Sequence[str] = (),
        forbid: Sequence[str] = (),
        on_step: Callable[[Progress], None] | None = None,
        cancelled: Cancelled | None = None,
    ) -> list[Translation]:
        """Translate each text by itself, in batches. The order is kept, and a batch's company changes no answer.

        prefix: what each translation begins with, one for all or one for each.
        require, forbid: phrases that must, and that must not, stand in every translation. A phrase counts wherever its
            characters stand, for a word tokenizer its words: "art" also stands in "party". `require` needs a beam.
        on_step: is shown every text at every step. cancelled: is asked at every step. CancelledSearch is raised where
            it says so.

        A text without content gives an empty translation. One of more tokens than `max_length` is cut at sentence
        ends, or where it must be. Its parts are translated one by one, the first with the prefix. Each has its trace.
        Raises UsageError where a prefix or phrase cannot be written, or not within the maximal length.
        """
        config = config or SearchConfig()
        cleaned = self.bundle.source.cleaner.lines([" ".join(text.split()) for text in texts])
        parts = [self._parts(text) for text in cleaned]
        if require and (long := next((text for text, group in zip(cleaned, parts, strict=True) if group[1:]), None)):
            raise UsageError(
                f"phrases are required of {long[:40]!r}..., which is longer than the model reads at once.",
                hint="Give one sentence at a time.",
            )
        owners = [index for index, group in enumerate(parts) for _ in group]
        asked = Asked(
            prefix=self._prefixes(prefix, parts),
            constraint=self._constraint(config, require, forbid),
            weights=trace,
            on_step=None if on_step is None else self._shown_to(on_step, owners),
            cancelled=cancelled,
        )
        done = iter(self._translate_parts([part for group in parts for part in group], config, asked))
        return [self._joined(text, [next(done) for _ in group]) for text, group in zip(cleaned, parts, strict=True)]

    def _prefixes(self, prefix: str | Sequence[str], parts: Sequence[Sequence[str]]) -> list[list[int]] | None:
        """Return the tokens that the translation of each part begins with, None where no prefix is given."""
        prefixes = [prefix] * len(parts) if isinstance(prefix, str) else list(prefix)
        if len(prefixes) != len(parts):
            raise UsageError(f"there are {len(prefixes)} prefixes for {len(parts)} texts.")
        if not any(text.strip() for text in prefixes):
            return None
        tokenizer = self.bundle.target.tokenizer
        tokens: list[list[int]] = []
        for text, group in zip(self.bundle.target.cleaner.lines(prefixes), parts, strict=True):
            tokenizer.symbols_of(text)  # says what cannot be written
            tokens += [tokenizer.encode(text) if number == 0 else [] for number in range(len(group))]
        return tokens

    def _constraint(self, config: SearchConfig, require: Sequence[str], forbid: Sequence[str]) -> "Constraint | None":
        if not (require or forbid or config.no_repeat):
            return None
        from attentio.search.constraint import AllOf, Constraint, NoRepeat, Phrases

        tokenizer = self.bundle.target.tokenizer
        found: list[Constraint] = []
        if require or forbid:
            must, must_not = (
                [tokenizer.symbols_of(text) for text in self.bundle.target.cleaner.lines(phrases)]
                for phrases in (require, forbid)
            )
            found.append(Phrases(tokenizer.symbols(), must, must_not))
        if config.no_repeat:
            found.append(NoRepeat(config.no_repeat, tokenizer.vocab_size))
        return AllOf(found)

    def _shown_to(
        self, on_step: Callable[[Progress], None], owners: Sequence[int]
    ) -> Callable[[list[int], SearchStep], None]:
        """Return the callback of a search whose parts belong to the texts `owners`."""
        tokenizer = self.bundle.target.tokenizer
        names = tokenizer.tokens

        def show(indices: list[int], step: SearchStep) -> None:
            for sentence in step.groups:
                candidates = tuple((names[token], p) for token, p in step.candidates(sentence, CANDIDATES))
                text = tokenizer.decode(step.best(sentence).tokens)
                on_step(Progress(owners[indices[sentence]], text, sentence in step.complete, candidates))

        return show

    def align(self, sources: Sequence[str], targets: Sequence[str]) -> list[AttentionTrace]:
        """Return what the model attends to when it is made to write each given target, step by step as in a search."""
        source_texts, target_texts = (
            self.bundle.source.cleaner.lines(sources),
            self.bundle.target.cleaner.lines(targets),
        )
        source_ids = [self.bundle.source.tokenizer.encode(text) for text in source_texts]
        target_ids = [self.bundle.target.tokenizer.encode(text) for text in target_texts]
        found: list[AttentionTrace | None] = [None] * len(source_ids)
        for indices, hypotheses in forced_batches(self.model, source_ids, target_ids):
            for index, hypothesis in zip(indices, hypotheses, strict=True):
                given = Translation(source_texts[index], target_texts[index], hypothesis.score)
                # What is given may hold characters that the tokenizer cannot decode again, so it is not decoded.
                end = len(given.text)
                spans = [*self.bundle.target.tokenizer.spans(given.text), (end, end)]
                found[index] = self._trace(given, source_ids[index], hypothesis, spans)
        return [trace for trace in found if trace is not None]

    def hypotheses(
        self,
        text: str,
        config: SearchConfig | None = None,
        *,
        masked: Collection[int] = (),
        prefix: Sequence[str] = (),
    ) -> list[Translation]:
        """Return the hypotheses of one sentence, best first, each with its trace: for asking what would happen if.

        masked: tokens of the source, counted from 0, that the model reads as unknown.
        prefix: the tokens that every hypothesis begins with, by the names that a trace gives them.
        Raises UsageError for a text that is empty or too long, and for tokens that are not there.
        """
        config = config or SearchConfig()
        (text,) = self.bundle.source.cleaner.lines([" ".join(text.split())])
        if not text.strip() or self.is_long(text):
            raise UsageError(f"there is no map of {text[:40]!r}: it is empty, or longer than the model reads at once.")
        source = self.bundle.source.tokenizer.encode(text)
        asked = Asked(prefix=[self._target_ids(prefix)] if prefix else None, weights=config.beam_size)
        ((_, (hypotheses,)),) = search_batches(self.model, [self._masked(source, masked)], config, asked)
        found: list[Translation] = []
        for hypothesis in hypotheses:
            one = self._translation(text, [hypothesis])
            spans = spans_of(self.bundle.target.tokenizer, hypothesis.tokens, one.text)
            found.append(replace(one, trace=self._trace(one, source, hypothesis, spans)))
        return found

    def erasure(self, trace: AttentionTrace, *, masked: Collection[int] = ()) -> NDArray[np.float32]:
        """Return (T, S): how much the log-probability of each target token falls when a source token is masked.

        A masked token is read as unknown. The target stays as the trace has it. The end of the sentence is never
        masked, so its column is 0. Negative where the token becomes more probable (Li et al., 2016).
        masked: tokens that were masked already. Their columns are 0.
        """
        source = self._masked(self.bundle.source.tokenizer.encode(trace.source), masked)
        target = self._target_ids(trace.target_tokens)
        given = target[:-1] if target[-1] == self.bundle.target.tokenizer.special.eos else target
        variants = [source, *(self._masked(source, [place]) for place in range(len(source)))]
        log_probs = np.zeros((len(variants), len(target)), dtype=np.float32)
        for indices, hypotheses in forced_batches(self.model, variants, [given] * len(variants)):
            for index, hypothesis in zip(indices, hypotheses, strict=True):
                log_probs[index] = hypothesis.log_probs[: len(target)]
        fall: NDArray[np.float32] = np.zeros((len(target), len(source) + 1), dtype=np.float32)
        fall[:, :-1] = (log_probs[0] - log_probs[1:]).T
        return fall

    def _masked(self, source: Sequence[int], places: Collection[int]) -> list[int]:
        if any(not 0 <= place < len(source) for place in places):
            raise UsageError(f"tokens of the source are counted from 0 to {len(source) - 1}.")
        unknown = self.bundle.source.tokenizer.special.unk
        return [unknown if place in places else token for place, token in enumerate(source)]

    def _target_ids(self, tokens: Sequence[str]) -> list[int]:
        ids = {name: i for i, name in enumerate(self.bundle.target.tokenizer.tokens)}
        if unknown := [token for token in tokens if token not in ids]:
            raise UsageError(f"{unknown[0]!r} is no token of the target language.")
        return [ids[token] for token in tokens]

    def is_long(self, text: str) -> bool:
        """Return whether `text` has more tokens than the model was trained for."""
        return len(self.bundle.source.tokenizer.encode(text)) > self.max_length

    def _translate_parts(self, texts: list[str], config: SearchConfig, asked: Asked) -> list[Translation]:
        tokenizer = self.bundle.source.tokenizer
        sources = [tokenizer.encode(text) for text in texts]
        found: list[Translation | None] = [None] * len(texts)
        for indices, groups in search_batches(self.model, sources, config, asked):
            for index, hypotheses in zip(indices, groups, strict=True):
                best = self._translation(texts[index], hypotheses)
                if asked.weights:
                    spans = spans_of(self.bundle.target.tokenizer, hypotheses[0].tokens, best.text)
                    best = replace(best, trace=self._trace(best, sources[index], hypotheses[0], spans))
                found[index] = best
        return [translation for translation in found if translation is not None]

    def _translation(self, source: str, hypotheses: list[Hypothesis]) -> Translation:
        nbest = tuple(
            (self.bundle.target.tokenizer.decode(hypothesis.tokens), hypothesis.score) for hypothesis in hypotheses
        )
        unseen = tuple(self.bundle.source.tokenizer.unseen(source))
        return Translation(source, nbest[0][0], nbest[0][1], nbest, unseen)

    def _trace(
        self,
        translation: Translation,
        source: list[int],
        hypothesis: Hypothesis,
        target_spans: list[tuple[int, int]],
    ) -> AttentionTrace:
        assert hypothesis.weights is not None
        target_tokenizer = self.bundle.target.tokenizer
        source_end, target_end = len(translation.source), len(translation.text)
        tokens = self.bundle.source.tokenizer.tokens
        return AttentionTrace(
            source=translation.source,
            target=translation.text,
            source_tokens=(*(tokens[i] for i in source), EOS_TOKEN),
            target_tokens=tuple(target_tokenizer.tokens[i] for i in hypothesis.tokens),
            source_spans=(*self.bundle.source.tokenizer.spans(translation.source), (source_end, source_end)),
            target_spans=tuple(target_spans) or ((target_end, target_end),),
            weights=hypothesis.weights.source,
            encoder_self=hypothesis.weights.encoder_self,
            decoder_self=hypothesis.weights.decoder_self,
            token_log_probs=np.array(hypothesis.log_probs, dtype=np.float32),
            candidates=tuple(
                tuple((target_tokenizer.tokens[int(token)], p) for token, p in zip(tokens, probabilities, strict=True))
                for tokens, probabilities in zip(
                    hypothesis.weights.candidates.tolist(), hypothesis.weights.probabilities.tolist(), strict=True
                )
            ),
            score=translation.score,
        )

    def _parts(self, text: str) -> list[str]:
        if not text.strip():
            return []
        if not self.is_long(text):
            return [text]
        parts: list[str] = []
        for sentence in _SENTENCE_END.split(text):
            if parts and not self.is_long(joined := _joined_text([parts[-1], sentence])):
                parts[-1] = joined
            else:
                parts.extend(self._cut(sentence))
        return [part for part in parts if part.strip()]

    def _cut(self, sentence: str) -> list[str]:
        """Return a sentence with no end in reach, cut by tokens."""
        spans = self.bundle.source.tokenizer.spans(sentence)
        starts = [spans[i][0] for i in range(0, len(spans), self.max_length)]
        return [sentence[a:b] for a, b in zip(starts, [*starts[1:], len(sentence)], strict=True)]

    def _joined(self, source: str, parts: list[Translation]) -> Translation:
        if len(parts) == 1:
            return parts[0]
        text = _joined_text([part.text for part in parts])
        score = sum(part.score for part in parts) / max(1, len(parts))
        unseen = tuple(dict.fromkeys(unit for part in parts for unit in part.unseen))
        return Translation(source, text, score, ((text, score),), unseen, parts=tuple(parts))


def spans_of(tokenizer: Tokenizer, tokens: Sequence[int], text: str) -> list[tuple[int, int]]:
    """Return the characters of `text` = decode(tokens) that each token added, as (start, end).

    A token that shows nothing has an empty span: the end of the sentence, or a byte of an unfinished character.
    """
    spans: list[tuple[int, int]] = []
    end = 0
    for count in range(1, len(tokens) + 1):
        prefix = tokenizer.decode(tokens[:count])
        reached = len(prefix) if text.startswith(prefix) else end
        start = end
        while start < reached and text[start].isspace():
            start += 1
        spans.append((start, max(start, reached)))
        end = max(end, reached)
    return spans


def _joined_text(parts: Sequence[str]) -> str:
    """Return parts side by side, without a space where the text before ends in a full-width character."""
    text = ""
    for part in parts:
        text = text + part if not text or ends_without_space(text) else f"{text} {part}"
    return text
