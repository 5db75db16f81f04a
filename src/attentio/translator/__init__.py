"""The object that everything outside training uses: text in, text out, with what the model attended to.

translator = Translator.load("runs/en-zh")
translation = translator("I love you.")
translation.text, translation.score, translation.trace

A `Translator` keeps nothing of a call, so that any number of threads may use one.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Self, cast

import numpy as np
from numpy.typing import NDArray

from attentio.errors import MissingExtra, UsageError
from attentio.exported import Exported, is_exported
from attentio.search.attended import CANDIDATES
from attentio.search.batched import Asked, SearchConfig, search_batches
from attentio.search.decode import Cancelled, Searched, SearchStep
from attentio.search.hypothesis import Hypothesis
from attentio.text.placeholders import (
    PLACEHOLDERS,
    Masked,
    Restored,
    kept_spans,
    mask,
    mask_pair,
    missing,
    restore,
    unmasked,
    without_kept,
)
from attentio.text.sentences import Sentences, cut_long, join_parts, split_sentences
from attentio.text.special import EOS_TOKEN
from attentio.text.tokenizer import Tokenizer
from attentio.text.words import Span
from attentio.trace import AttentionTrace

if TYPE_CHECKING:  # loaded only where something is constrained, needs torch, or asks for another engine
    from attentio.bundle import Bundle
    from attentio.engines import Engine
    from attentio.model.seq2seq import Seq2Seq
    from attentio.search.constraint import Constraint


@dataclass(frozen=True)
class Translation:
    """One source and its translation.

    source: the text as the model read it, cleaned.
    score: natural logarithm of the probability, divided by the length to the power of the length penalty. Of several
        sentences, the mean.
    nbest: the best hypotheses, best first, with `text` the first.
    unseen: characters or words of the source that training never saw.
    lost: numbers, URLs and the like that the source has and the translation lacks.
    around: what sentences were cut at, so that it stands in the translation: the model kept it in no other way.
    unforced: terms of a glossary that the translation lacks.
    cut: whether a sentence was longer than any in training, and was translated in parts.
    parts: the translations that this one is made of, each with its trace. None where the text was translated at once.
    """

    source: str
    text: str
    score: float
    nbest: tuple[tuple[str, float], ...] = ()
    unseen: tuple[str, ...] = ()
    trace: AttentionTrace | None = None
    lost: tuple[str, ...] = ()
    cut: bool = False
    parts: "tuple[Translation, ...]" = ()
    around: tuple[str, ...] = ()
    unforced: tuple[str, ...] = ()

    def leaves(self) -> "tuple[Translation, ...]":
        """Return what was translated at once: the parts, or this translation alone. None of an empty text."""
        return self.parts or ((self,) if self.source else ())


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
    """Translate text with a trained model, or with an exported one.

    engine: what searches, by its name (`attentio.engines`), or one that is open. What another engine than ours cannot
    do, such as weights, is done by ours.
    """

    def __init__(
        self,
        bundle: "Bundle | Exported",
        *,
        device: str = "auto",
        precision: str = "fp32",
        engine: "str | Engine" = "attentio",
    ) -> None:
        self.bundle = bundle
        self._device, self._precision = device, precision
        self.max_length = bundle.max_length
        self._engine: Engine | None = None
        if not isinstance(engine, str):
            self._engine = engine
        elif engine != "attentio":
            from attentio.engines import open_engine  # not needed by our own search

            self._engine = open_engine(engine, bundle, device=device, precision=precision)
        if self._engine is None:
            _ = self.model

    @classmethod
    def load(cls, run: str | Path, *, device: str = "auto", precision: str = "fp32", engine: str = "attentio") -> Self:
        """Open the model of a run folder, to compute in fp32, in bf16, or, "auto", in bf16 where that is fast.

        Or the folder of an exported model, which needs no torch. Raises ModelError when it is missing or damaged.
        Raises UsageError where the engine cannot express it, and MissingExtra where the engine is not installed.
        """
        if is_exported(Path(run)):
            return cls(Exported.load(run), device=device, precision=precision, engine=engine)
        try:
            from attentio.bundle import Bundle
        except ModuleNotFoundError as error:
            if error.name != "torch":
                raise
            raise MissingExtra(
                f"{run} needs torch, which is not installed.",
                hint="Install it: pip install torch. Or give a model from `attentio export --to onnx`.",
            ) from None
        if engine == "attentio":
            from attentio.runtime import choices

            if precision == "fp32":  # what was measured before, if anything: one sentence is not worth measuring
                choices.use(choices.settle())
            else:
                from attentio.model.fast import probe

                choices.use(probe.settle())
        return cls(Bundle.load(run), device=device, precision=precision, engine=engine)

    @cached_property
    def model(self) -> Searched:
        """The model, ready to search with: made at first use where another engine searches."""
        precision = "fp32" if self._precision == "int8" else self._precision  # int8 is for engines
        return self.bundle.ready(self._device, precision=precision)

    @property
    def workers(self) -> int:
        """Return how many processes may share the work. Another engine has its own threads."""
        return self.model.arrays.workers if self._engine is None else 1

    def one_thread(self) -> None:
        """Compute with one thread from now on, where several threads of this process translate side by side."""
        if self._engine is None:
            self.model.arrays.one_thread()

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
        split: bool = True,
        prefix: str | Sequence[str] = "",
        require: Sequence[str] = (),
        forbid: Sequence[str] = (),
        terms: Callable[[str], Sequence[str]] | None = None,
        on_step: Callable[[Progress], None] | None = None,
        cancelled: Cancelled | None = None,
    ) -> list[Translation]:
        """Translate each text by itself, in batches. The order is kept, and a batch's company changes no answer.

        split: translate the sentences of a text one by one, and keep the white space between them.
        prefix: what each translation begins with, one for all or one for each.
        require, forbid: phrases that must, and that must not, stand in every translation. A phrase counts wherever its
            characters stand, for a word tokenizer its words: "art" also stands in "party". `require` needs a beam, and
            a text of which phrases are required is not split.
        terms: gives the phrases that the translation of a sentence must hold, as a glossary does. A sentence that lacks
            some is searched again. `unforced` says which could not be had.
        on_step: is shown every text at every step. cancelled: is asked at every step. CancelledSearch is raised where
            it says so.

        URLs, numbers, tags and the like are kept: by placeholders, else by a second search, else by translating what
        stands between them. A model without placeholders may change numbers whose digits it has seen in training.
        A text without content gives an empty translation. A sentence of more tokens than any in training is cut at
        clauses, or where it must be. Raises UsageError where a prefix or phrase cannot be written, or not within the
        maximal length.
        """
        given = cast(Sequence[object], texts)
        if isinstance(given, str) or any(not isinstance(text, str) for text in given):
            found = "one text" if isinstance(given, str) else "a list with something else in it"
            raise TypeError(f"translate takes a list of texts, not {found}: use translate([text]) or translator(text)")
        config = config or SearchConfig()
        cut_up = self._cut_up(texts, split=split and not require)
        if require and (long := next((text.parts[0].text for text in cut_up if len(text.parts) > 1), None)):
            raise UsageError(
                f"phrases are required of {long[:40]!r}..., which is longer than the model reads at once.",
                hint="Give one sentence at a time.",
            )
        owners = [index for index, text in enumerate(cut_up) for _ in text.parts]
        asked = Asked(
            prefix=self._prefixes(prefix, [len(text.parts) for text in cut_up]),
            constraint=self._constraint(config, require, forbid),
            weights=trace,
            on_step=None if on_step is None else self._shown_to(on_step, owners),
            cancelled=cancelled,
        )
        parts = [part for text in cut_up for part in text.parts]
        with self.model.arrays.at_work() if self._engine is None else nullcontext():
            found = self._translate_parts(parts, config, asked)
            lacking = terms is not None or any(each.lost or kept_spans(each.source) for each in found)
            if lacking and not require:
                from attentio.translator.mending import Mender

                Mender(self.bundle, self._translate_parts, config, asked, self._fits).mend(parts, found, terms)
        done = iter(found)
        return [text.joined([next(done) for _ in text.parts]) for text in cut_up]

    def _cut_up(self, texts: Sequence[str], *, split: bool) -> list["_Text"]:
        """Return the texts as parts that the model reads at once, masked and cleaned."""
        side = self.bundle.source
        sentences = [
            split_sentences(text, side.language) if split else Sentences([" ".join(text.split())], ["", ""])
            for text in texts
        ]
        hides = self.bundle.placeholders
        masked = [mask(each) if hides else Masked(each, {}) for text in sentences for each in text.texts]
        cleaned = zip(side.cleaner.lines([each.text for each in masked]), masked, strict=True)
        found: list[_Text] = []
        for text in sentences:
            parts = [
                Part(part, {each: what for each, what in kept.items() if each in part}, number)
                for number, (sentence, (_, kept)) in enumerate(islice(cleaned, len(text.texts)))
                if sentence.strip()
                for part in cut_long(sentence, self._fits)
            ]
            found.append(_Text(text, parts))
        return found

    def _restored(self, text: str, kept: dict[str, str], *, apart: bool = False) -> Restored:
        return restore(text, kept, apart=apart) if self.bundle.placeholders else unmasked(text)

    def _fits(self, text: str) -> bool:
        return not self.is_long(text)

    def _prefixes(self, prefix: str | Sequence[str], counts: Sequence[int]) -> list[list[int]] | None:
        """Return the tokens that the translation of each part begins with, None where no prefix is given.

        counts: of how many parts each text is. The first begins with the prefix.
        """
        prefixes = [prefix] * len(counts) if isinstance(prefix, str) else list(prefix)
        if len(prefixes) != len(counts):
            raise UsageError(f"there are {len(prefixes)} prefixes for {len(counts)} texts.")
        if not any(text.strip() for text in prefixes):
            return None
        tokenizer = self.bundle.target.tokenizer
        tokens: list[list[int]] = []
        for text, count in zip(self.bundle.target.cleaner.lines(prefixes), counts, strict=True):
            tokenizer.symbols_of(text)  # says what cannot be written
            tokens += [tokenizer.encode(text) if number == 0 else [] for number in range(count)]
        return tokens

    def _constraint(self, config: SearchConfig, require: Sequence[str], forbid: Sequence[str]) -> "Constraint | None":
        if not (require or forbid or config.no_repeat or config.stop_loops):
            return None
        from attentio.search.constraint import AllOf, Constraint, NoRepeat, Phrases
        from attentio.search.loops import NoLoops

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
        if config.stop_loops and not require:  # what is required may repeat itself
            found.append(NoLoops(tokenizer.tokens))
        return AllOf(found) if found else None

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
        from attentio.search.forced import forced_batches  # loaded only where a target is given

        cleaned = zip(self.bundle.source.cleaner.lines(sources), self.bundle.target.cleaner.lines(targets), strict=True)
        pairs = [mask_pair(*pair) if self.bundle.placeholders else (*pair, dict[str, str]()) for pair in cleaned]
        source_tokenizer, target_tokenizer = self.bundle.source.tokenizer, self.bundle.target.tokenizer
        source_ids = [source_tokenizer.encode(source) for source, _, _ in pairs]
        target_ids = [target_tokenizer.encode(target) for _, target, _ in pairs]
        found: list[AttentionTrace | None] = [None] * len(pairs)
        for indices, hypotheses in forced_batches(self.model, source_ids, target_ids):
            for index, hypothesis in zip(indices, hypotheses, strict=True):
                source, target, kept = pairs[index]
                read, written = self._restored(source, kept), self._restored(target, kept)
                given = Translation(read.text, written.text, hypothesis.score)
                # What is given may hold characters that the tokenizer cannot decode again, so it is not decoded.
                spans = [*written.spans(target_tokenizer.spans(target)), (len(written.text), len(written.text))]
                source_spans = read.spans(source_tokenizer.spans(source))
                found[index] = self._trace(given, source_ids[index], hypothesis, source_spans, spans)
        return [trace for trace in found if trace is not None]

    def sentences(self, text: str) -> list[str]:
        """Return the parts of a text that are translated one by one, as the model reads them. None of an empty text."""
        (cut_up,) = self._cut_up([text], split=True)
        return [self._restored(part.text, part.kept).text for part in cut_up.parts]

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
        (cut_up,) = self._cut_up([text], split=False)
        if len(cut_up.parts) != 1:
            raise UsageError(f"there is no map of {text[:40]!r}: it is empty, or longer than the model reads at once.")
        (part,) = cut_up.parts
        source = self.bundle.source.tokenizer.encode(part.text)
        begin = [_ids_of(self.bundle.target.tokenizer, prefix)] if prefix else None
        asked = Asked(begin, self._constraint(config, (), ()), weights=config.beam_size)
        ((_, (hypotheses,)),) = search_batches(self.model, [self._masked(source, masked)], config, asked)
        return [self._translation(part, source, [hypothesis], trace=True) for hypothesis in hypotheses]

    def erasure(self, trace: AttentionTrace, *, masked: Collection[int] = ()) -> NDArray[np.float32]:
        """Return (T, S): how much the log-probability of each target token falls when a source token is masked.

        A masked token is read as unknown. The target stays as the trace has it. The end of the sentence is never
        masked, so its column is 0. Negative where the token becomes more probable (Li et al., 2016).
        masked: tokens that were masked already. Their columns are 0.
        """
        length = len(trace.source_tokens) - 1
        log_probs = self.log_probs(trace, [masked, *([*masked, place] for place in range(length))])
        return np.pad((log_probs[0] - log_probs[1:]).T, ((0, 0), (0, 1)))

    def log_probs(self, trace: AttentionTrace, masks: Sequence[Collection[int]]) -> NDArray[np.float32]:
        """Return (masks, T), the log-probability of each target token where the model reads other source tokens.

        masks: the source tokens, counted from 0, that are read as unknown. Nothing is masked for an empty one.
        """
        from attentio.search.forced import forced_batches

        source = _ids_of(self.bundle.source.tokenizer, trace.source_tokens[:-1])
        target = _ids_of(self.bundle.target.tokenizer, trace.target_tokens)
        given = target[:-1] if target[-1] == self.bundle.target.tokenizer.special.eos else target
        variants = [self._masked(source, mask) for mask in masks]
        found = np.zeros((len(variants), len(target)), dtype=np.float32)
        for indices, hypotheses in forced_batches(self.model, variants, [given] * len(variants)):
            for index, hypothesis in zip(indices, hypotheses, strict=True):
                found[index] = hypothesis.log_probs[: len(target)]
        return found

    def gradient_times_input(self, trace: AttentionTrace) -> NDArray[np.float32]:
        """Return (T, S): the gradient of each target token's log-probability by each source embedding, times it.

        To first order it is what the token adds to the log-probability, the end of the sentence included.
        """
        from attentio.search.gradient import gradient_times_input

        source = _ids_of(self.bundle.source.tokenizer, trace.source_tokens[:-1])
        target = _ids_of(self.bundle.target.tokenizer, trace.target_tokens)
        return gradient_times_input(self._plain_model, source, target)

    @cached_property
    def _plain_model(self) -> "Seq2Seq":
        """The model as it was trained: on the CPU, not packed, so that it has gradients."""
        return self.bundle.build().eval()

    def _masked(self, source: Sequence[int], places: Collection[int]) -> list[int]:
        if any(not 0 <= place < len(source) for place in places):
            raise UsageError(f"tokens of the source are counted from 0 to {len(source) - 1}.")
        unknown = self.bundle.source.tokenizer.special.unk
        return [unknown if place in places else token for place, token in enumerate(source)]

    def is_long(self, text: str) -> bool:
        """Return whether `text` has more tokens than any source in training."""
        return len(self.bundle.source.tokenizer.encode(text)) > self.bundle.longest_source

    def _translate_parts(self, parts: Sequence["Part"], config: SearchConfig, asked: Asked) -> list[Translation]:
        tokenizer = self.bundle.source.tokenizer
        found = [self._copied(part) if asked.copies(index) else None for index, part in enumerate(parts)]
        live = [index for index, translation in enumerate(found) if translation is None]
        sources = [tokenizer.encode(parts[index].text) for index in live]
        for indices, groups in self._search(sources, config, asked.only(live)):
            for index, hypotheses in zip(indices, groups, strict=True):
                translation = self._translation(parts[live[index]], sources[index], hypotheses, trace=asked.weights > 0)
                found[live[index]] = translation
        return [translation for translation in found if translation is not None]

    def _search(
        self, sources: Sequence[Sequence[int]], config: SearchConfig, asked: Asked
    ) -> Iterator[tuple[list[int], list[list[Hypothesis]]]]:
        """Search with the engine, and with our own search where it cannot."""
        if self._engine is None or not self._engine.answers(config, asked):
            yield from search_batches(self.model, sources, config, asked)
            return
        left: list[int] = []
        for indices, groups in self._engine.search_batches(sources, config, asked):
            answered = [(index, found) for index, found in zip(indices, groups, strict=True) if found is not None]
            left += [index for index, found in zip(indices, groups, strict=True) if found is None]
            yield [index for index, _ in answered], [found for _, found in answered]
        if left:
            again = [sources[index] for index in left]
            for places, groups in search_batches(self.model, again, config, asked.only(left)):
                yield [left[place] for place in places], groups

    def _copied(self, part: "Part") -> Translation | None:
        """Return a part that is nothing but what must be kept, as its own translation."""
        rest = part.text.translate(dict.fromkeys(map(ord, PLACEHOLDERS))) if part.kept else without_kept(part.text)
        if rest == part.text or any(map(str.isalnum, rest)):
            return None
        text = self._restored(part.text, part.kept).text
        return Translation(text, text, 0.0, ((text, 0.0),))

    def _translation(
        self, part: "Part", source: list[int], hypotheses: list[Hypothesis], *, trace: bool
    ) -> Translation:
        texts = [self.bundle.target.tokenizer.decode(each.tokens) for each in hypotheses]
        read, written = self._restored(part.text, part.kept), [self._restored(t, part.kept, apart=True) for t in texts]
        best, text, restored = hypotheses[0], texts[0], written[0]
        translation = Translation(
            source=read.text,
            text=restored.text,
            score=best.score,
            nbest=tuple((each.text, hypothesis.score) for each, hypothesis in zip(written, hypotheses, strict=True)),
            unseen=self.bundle.source.unseen(part.text),
            lost=tuple(part.kept[each] for each in missing(text, part.kept)),
        )
        if not trace:
            return translation
        spans = spans_of(self.bundle.target.tokenizer, best.tokens, text)
        source_spans = self.bundle.source.tokenizer.spans(part.text)
        return replace(
            translation,
            trace=self._trace(translation, source, best, read.spans(source_spans), restored.spans(spans)),
        )

    def _trace(
        self,
        translation: Translation,
        source: list[int],
        hypothesis: Hypothesis,
        source_spans: Sequence[Span],
        target_spans: Sequence[Span],
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
            source_spans=(*source_spans, (source_end, source_end)),
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


class Part(NamedTuple):
    """What the model reads at once. kept: what stands behind its placeholders. sentence: its number in the text."""

    text: str
    kept: dict[str, str]
    sentence: int


class _Text(NamedTuple):
    """A text as sentences, and each sentence as parts: one, or several where it is too long."""

    sentences: Sentences
    parts: list[Part]

    def joined(self, done: Sequence[Translation]) -> Translation:
        """Return the translation of the text from those of its parts."""
        translated: list[list[Translation]] = [[] for _ in self.sentences.texts]
        for part, translation in zip(self.parts, done, strict=True):
            translated[part.sentence].append(translation)
        cut = any(len(group) > 1 for group in translated)

        def text_of(sentences: Sequence[str]) -> str:
            return self.sentences.join(sentences) if self.parts else ""

        if len(done) == 1:
            (only,) = done
            nbest = tuple(
                (text_of([text if group else "" for group in translated]), score) for text, score in only.nbest
            )
            return replace(only, text=nbest[0][0], nbest=nbest)
        text = text_of([join_parts([each.text for each in group]) for group in translated])
        source = "".join(
            space + join_parts([each.source for each in group])
            for space, group in zip(self.sentences.spaces, translated, strict=False)
        )
        score = sum(part.score for part in done) / max(1, len(done))
        unseen = tuple(dict.fromkeys(unit for part in done for unit in part.unseen))
        lost = tuple(each for part in done for each in part.lost)
        return Translation(
            source.strip(),
            text,
            score,
            ((text, score),),
            unseen,
            None,
            lost,
            cut,
            tuple(leaf for part in done for leaf in part.leaves()),
            tuple(each for part in done for each in part.around),
            tuple(dict.fromkeys(each for part in done for each in part.unforced)),
        )


def _ids_of(tokenizer: Tokenizer, tokens: Sequence[str]) -> list[int]:
    ids = {name: i for i, name in enumerate(tokenizer.tokens)}
    if unknown := [token for token in tokens if token not in ids]:
        raise UsageError(f"the model has no token {unknown[0]!r}.")
    return [ids[token] for token in tokens]


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
