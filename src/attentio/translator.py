"""The object everything outside training uses: text in, text out, with what the model attended to.

translator = Translator.load("runs/en-zh")
translation = translator("I love you.")
translation.text, translation.score, translation.trace
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import numpy as np

from attentio.bundle import Bundle
from attentio.recorder import AttentionRecorder
from attentio.runtime.device import resolve_device
from attentio.search.batched import SearchConfig, search_batches
from attentio.search.forced import forced_batches
from attentio.search.hypothesis import Hypothesis
from attentio.text.script import ends_without_space
from attentio.text.special import EOS_TOKEN
from attentio.text.tokenizer import Tokenizer
from attentio.trace import AttentionTrace

_SENTENCE_END = re.compile(r"(?<=[.!?;])\s+|(?<=[。！？；])")


@dataclass(frozen=True)
class Translation:
    """One source and what was made of it.

    source: the text as the model read it, cleaned. score: natural logarithm of the probability, divided by the length
    to the power of the length penalty. nbest: the best hypotheses, best first, with `text` the first. unseen:
    characters or words of the source that training never saw.
    """

    source: str
    text: str
    score: float
    nbest: tuple[tuple[str, float], ...] = ()
    unseen: tuple[str, ...] = ()
    trace: AttentionTrace | None = None


class Translator:
    """Translates text with a trained model."""

    def __init__(self, bundle: Bundle, *, device: str = "auto", precision: str = "fp32") -> None:
        self.bundle = bundle
        self.model = bundle.ready(resolve_device(device), precision=precision)
        self.max_length = bundle.max_length

    @classmethod
    def load(cls, run: str | Path, *, device: str = "auto", precision: str = "fp32") -> Self:
        """Opens the model of a run folder, to compute in fp32, in bf16, or, "auto", in bf16 where that is fast.

        Raises ModelError when it is missing or damaged.
        """
        return cls(Bundle.load(run), device=device, precision=precision)

    @property
    def source_language(self) -> str | None:
        """Language code of what it reads, as far as known."""
        return self.bundle.source.language

    @property
    def target_language(self) -> str | None:
        """Language code of what it writes, as far as known."""
        return self.bundle.target.language

    def __call__(self, text: str, *, beam_size: int = 1, length_penalty: float = 1.0) -> Translation:
        """Translates one text and keeps what was attended to."""
        return self.translate([text], SearchConfig(beam_size, length_penalty), trace=True)[0]

    def translate(
        self, texts: Sequence[str], config: SearchConfig | None = None, *, trace: bool = False
    ) -> list[Translation]:
        """Translates each text for itself, in batches; the order is kept and a batch's company changes no answer.

        A text without content gives an empty translation. One of more than `data.max_length` pieces is cut at sentence
        ends, or where it must be, translated piece by piece, and has no trace.
        """
        config = config or SearchConfig()
        cleaned = self.bundle.source.cleaner.lines([" ".join(text.split()) for text in texts])
        parts = [self._parts(text) for text in cleaned]
        flat = [part for group in parts for part in group]
        done = iter(self._translate_parts(flat, config, trace=trace))
        return [self._joined(text, [next(done) for _ in group]) for text, group in zip(cleaned, parts, strict=True)]

    def align(self, sources: Sequence[str], targets: Sequence[str]) -> list[AttentionTrace]:
        """What the model attends to when it is made to produce each given target, step by step as in a search."""
        source, target = self.bundle.source, self.bundle.target
        source_texts, target_texts = source.cleaner.lines(sources), target.cleaner.lines(targets)
        source_ids = [source.tokenizer.encode(text) for text in source_texts]
        target_ids = [target.tokenizer.encode(text) for text in target_texts]
        found: list[AttentionTrace | None] = [None] * len(source_ids)
        with AttentionRecorder(self.model.decoder) as recorder:
            for indices, groups in forced_batches(self.model, source_ids, target_ids):
                for index, (hypothesis,) in zip(indices, groups, strict=True):
                    given = Translation(source_texts[index], target_texts[index], hypothesis.score)
                    # What is given may hold characters that the tokenizer cannot decode again, so it is not decoded.
                    end = len(given.text)
                    spans = [*target.tokenizer.spans(given.text), (end, end)]
                    found[index] = self._trace(given, source_ids[index], hypothesis, spans, recorder)
                recorder.clear()
        return [trace for trace in found if trace is not None]

    def is_long(self, text: str) -> bool:
        """Whether `text` has more pieces than the model was trained for."""
        return len(self.bundle.source.tokenizer.encode(text)) > self.max_length

    def _translate_parts(self, texts: list[str], config: SearchConfig, *, trace: bool) -> list[Translation]:
        tokenizer = self.bundle.source.tokenizer
        sources = [tokenizer.encode(text) for text in texts]
        found: list[Translation | None] = [None] * len(texts)
        recorder = AttentionRecorder(self.model.decoder)
        if not trace:
            for indices, groups in search_batches(self.model, sources, config):
                for index, hypotheses in zip(indices, groups, strict=True):
                    found[index] = self._translation(texts[index], hypotheses)
        else:
            here = config._replace(workers=1)  # where the recorder looks on
            with recorder:
                for indices, groups in search_batches(self.model, sources, here):
                    for index, hypotheses in zip(indices, groups, strict=True):
                        best = self._translation(texts[index], hypotheses)
                        spans = spans_of(self.bundle.target.tokenizer, hypotheses[0].tokens, best.text)
                        seen = self._trace(best, sources[index], hypotheses[0], spans, recorder)
                        found[index] = replace(best, trace=seen)
                    recorder.clear()
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
        recorder: AttentionRecorder,
    ) -> AttentionTrace:
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
            weights=recorder.weights(hypothesis, len(source) + 1),
            token_log_probs=np.array(hypothesis.log_probs, dtype=np.float32),
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
        """A sentence with no end in reach is cut by pieces."""
        spans = self.bundle.source.tokenizer.spans(sentence)
        starts = [spans[i][0] for i in range(0, len(spans), self.max_length)]
        return [sentence[a:b] for a, b in zip(starts, [*starts[1:], len(sentence)], strict=True)]

    def _joined(self, source: str, parts: list[Translation]) -> Translation:
        if len(parts) == 1:
            return parts[0]
        text = _joined_text([part.text for part in parts])
        score = sum(part.score for part in parts) / max(1, len(parts))
        unseen = tuple(dict.fromkeys(unit for part in parts for unit in part.unseen))
        return Translation(source, text, score, ((text, score),), unseen)


def spans_of(tokenizer: Tokenizer, tokens: Sequence[int], text: str) -> list[tuple[int, int]]:
    """For each token of a translation, the characters of `text` = decode(tokens) it added, as (start, end).

    A token that adds nothing to be seen (the end of the sentence, a byte of an unfinished character) has an empty span.
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
    """Parts side by side: without a space where the text before ends in a full-width character."""
    text = ""
    for part in parts:
        text = text + part if not text or ends_without_space(text) else f"{text} {part}"
    return text
