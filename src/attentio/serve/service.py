"""The one core of all dialects: translate these texts, this pair, these options, before this deadline.

A `Service` holds the models by name, and the pairs of languages that they translate. Texts go through the batcher. What
has nothing to translate, such as white space or emoji alone, comes back as it is.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from attentio.documents import Glossary, Match, Memory, append_pair
from attentio.errors import AttentioError, CancelledSearch, UsageError
from attentio.search.batched import SearchConfig
from attentio.serve.batcher import Batcher, BatchSizes
from attentio.serve.instruments import Instruments
from attentio.serve.languages import Detected, canonical, detect, match, name_of
from attentio.serve.problems import Problem
from attentio.serve.settings import Settings
from attentio.translator import Translation, Translator


class Pair(NamedTuple):
    """A model and the languages between which it translates, as canonical codes.

    Text that is in the target language already has no model: its name is empty.
    """

    model: str
    source: str
    target: str

    def __str__(self) -> str:
        return f"{self.source}-{self.target}"


class Options(NamedTuple):
    """How texts are translated.

    glossary: terms that the translations must hold. None for the server's own.
    beam: None for the server's own. nbest: hypotheses of each text. trace: whether weights are kept. split: whether the
    sentences of a text are translated one by one.
    """

    beam: int | None = None
    nbest: int = 1
    trace: bool = False
    split: bool = True
    glossary: Glossary | None = None


class _Key(NamedTuple):
    model: str
    config: SearchConfig
    trace: bool
    split: bool
    glossary: Glossary | None


class Service:
    """Translate texts of many clients at once.

    translators: the models by name. languages: what is said of the languages of a model, where it does not know them.
    glossary, memory: of the one pair that is served.
    """

    def __init__(
        self,
        translators: Mapping[str, Translator],
        settings: Settings | None = None,
        *,
        languages: Mapping[str, tuple[str, str]] | None = None,
        glossary: Glossary | None = None,
        memory: Memory | None = None,
    ) -> None:
        self.translators = translators
        self.settings = settings or Settings()
        self.instruments = Instruments()
        self.memory = memory
        self._memory_use = asyncio.Lock()
        self._glossary = glossary
        self.pairs: list[Pair] = []
        for name, each in translators.items():
            source, target = (languages or {}).get(name, (each.source_language, each.target_language))
            if source and target:
                self.pairs.append(Pair(name, canonical(source), _written(target, each)))
        self._kept: OrderedDict[tuple[_Key, str], Translation] = OrderedDict()
        sizes = BatchSizes(
            wait=self.settings.batch_wait, texts=self.settings.batch_texts, waiting=self.settings.waiting
        )
        self.batcher = Batcher[_Key, Translation](
            self._search,
            sizes,
            threads=self.settings.threads,
            begin=self._begin,  # more would wait for each other, and batches share the cores
            seen=self._count_batch,
        )
        self.instruments.watch_queue(lambda: self.batcher.waiting)

    def _begin(self) -> None:
        for each in self.translators.values():
            each.one_thread()

    @property
    def sources(self) -> list[str]:
        """Return the languages that are read, in the order of the models."""
        return list(dict.fromkeys(pair.source for pair in self.pairs))

    @property
    def languages(self) -> list[str]:
        """Return all languages that are read or written, those read first."""
        return list(dict.fromkeys([*self.sources, *(pair.target for pair in self.pairs)]))

    @property
    def written(self) -> list[str]:
        """Return the languages that are written, in the order of the models."""
        return list(dict.fromkeys(pair.target for pair in self.pairs))

    def targets(self, source: str) -> list[str]:
        """Return the languages that `source` is translated into."""
        return list(dict.fromkeys(pair.target for pair in self.pairs if pair.source == source))

    def language(self, code: str) -> str:
        """Return the canonical code of a language that is served. Raises Problem for others."""
        found = match(code, self.languages)
        if found is None:
            raise Problem("bad", f"{code[:20]} is not supported")
        return found

    def pair(self, source: str, target: str) -> Pair:
        """Return the first model between two languages. Raises Problem where there is none."""
        source, target = self.language(source), self.language(target)
        for pair in self.pairs:
            if (pair.source, pair.target) == (source, target):
                return pair
        shown = [f"{name_of(code)} ({code})" for code in (target, source)]
        raise Problem("bad", f"{shown[0]} is not available as a target language from {shown[1]}")

    async def pair_for(self, texts: Sequence[str], source: str | None, target: str) -> tuple[Pair, Detected | None]:
        """Return the model for texts, and the detected language where `source` is None or "auto".

        Texts that are found to be in the target language need no model. Raises Problem where there is none.
        """
        if source is not None and source.lower() != "auto":
            return self.pair(source, target), None
        target = self.language(target)
        detected = (await self.detect(texts, target))[0]
        if detected.language == target:
            return Pair("", target, target), detected
        return self.pair(detected.language, target), detected

    def model(self, name: str) -> Pair:
        """Return the pair of a model by its name. Raises Problem where there is none."""
        for pair in self.pairs:
            if pair.model == name:
                return pair
        raise Problem("missing", "there is no such model.")

    async def detect(self, texts: Sequence[str], target: str | None = None) -> list[Detected]:
        """Return the languages that texts may be in, the likeliest first.

        target: where the texts have no letters, a language that is translated into this one comes first.
        """
        known = self.languages
        if target is not None and (code := match(target, known)) is not None:
            known = sorted(known, key=lambda each: code not in self.targets(each))
        return await asyncio.to_thread(detect, "\n".join(texts), known)

    async def translate(
        self, texts: Sequence[str], pair: Pair, options: Options | None = None, *, seconds: float | None = None
    ) -> list[Translation]:
        """Return the translation of each text, in order.

        seconds: how long it may take. None for the time that the server gives. Raises Problem for texts that are too
        long or too many, and where the server has too much to do.
        """
        self.check_sizes(texts)
        return await self._translate(texts, pair, options, seconds)

    async def _translate(
        self, texts: Sequence[str], pair: Pair, options: Options | None = None, seconds: float | None = None
    ) -> list[Translation]:
        if not pair.model:
            return [_unchanged(text) for text in texts]
        options = options or Options()
        config = SearchConfig(max(options.beam or self.settings.beam, options.nbest))
        key = _Key(pair.model, config, options.trace, options.split, options.glossary or self._glossary)
        found: list[Translation | None] = [self._known(key, text) for text in texts]
        wanted = [index for index, translation in enumerate(found) if translation is None]
        limit = self.settings.seconds if seconds is None else min(seconds, self.settings.seconds)
        new = await self.batcher.submit(key, [texts[index] for index in wanted], seconds=limit)
        for index, translation in zip(wanted, new, strict=True):
            found[index] = translation
            self._keep(key, texts[index], translation)
        self.instruments.characters.labels(str(pair)).inc(sum(map(len, texts)))
        return [translation for translation in found if translation is not None]

    async def translate_parts(
        self, texts: Sequence[str], pair: Pair, options: Options | None = None
    ) -> list[Translation]:
        """Return the translations of the texts of a document: any number, each of any length.

        They go through the queue in lists that a request may have, and each list has the time of a request.
        """
        done: list[Translation] = []
        for start in range(0, len(texts), self.settings.texts):
            done += await self._translate(texts[start : start + self.settings.texts], pair, options)
        return done

    async def similar(self, text: str) -> list[Match]:
        """Return the pairs of the memory that are most similar to a text, none without a memory."""
        if self.memory is None:
            return []
        async with self._memory_use:  # it may not grow meanwhile
            return await asyncio.to_thread(self.memory.similar, text)

    async def learn(self, source: str, target: str) -> None:
        """Keep a better translation: in the file of suggestions, and in the memory. Raises Problem without a file."""
        if self.settings.suggestions is None:
            raise Problem("off", "Suggestions are disabled on this server.")
        self.check_sizes([source, target])
        try:
            await asyncio.to_thread(append_pair, self.settings.suggestions, source, target)
        except AttentioError as error:
            kind = "bad" if isinstance(error, UsageError) else "internal"
            raise Problem(kind, error.message if kind == "bad" else "the suggestion could not be kept.") from None
        if self.memory is not None:
            async with self._memory_use:
                self.memory.add(source, " ".join(target.split()))
            self._kept.clear()

    def tokens(self, model: str, text: str, *, written: bool = False) -> int:
        """Return how many tokens a text has on the side that a model reads, or writes."""
        bundle = self.translators[model].bundle
        side = bundle.target if written else bundle.source
        return len(side.tokenizer.encode(side.cleaner(text)))

    def check_sizes(self, texts: Sequence[str]) -> None:
        """Raise Problem for texts that are too long or too many."""
        longest = max(map(len, texts), default=0)
        for limit, size in ((self.settings.texts, len(texts)), (self.settings.characters, longest)):
            if size > limit:
                raise Problem("too long", f"request ({size}) exceeds text limit ({limit})")

    def _known(self, key: _Key, text: str) -> Translation | None:
        """Return the translation of a text that needs no search."""
        if not any(map(str.isalnum, text)):
            return _unchanged(text)
        if (kept := self._kept.get((key, text))) is not None:
            self._kept.move_to_end((key, text))
        return kept

    def _keep(self, key: _Key, text: str, translation: Translation) -> None:
        if self.settings.cache:
            self._kept[key, text] = translation
            if len(self._kept) > self.settings.cache:
                self._kept.popitem(last=False)

    def _search(self, key: _Key, texts: Sequence[str], cancelled: Callable[[], bool]) -> list[Translation]:
        translator = self.translators[key.model]

        def search(texts: Sequence[str]) -> list[Translation]:
            return translator.translate(
                texts, key.config, trace=key.trace, split=key.split, terms=key.glossary, cancelled=cancelled
            )

        try:
            if self.memory is None:
                return search(texts)
            return self.memory.translate(texts, search, translator.source_language)
        except CancelledSearch:
            raise
        except AttentioError as error:  # its message may repeat the text, and goes to the one who sent it
            raise Problem("bad", str(error)) from None

    def _count_batch(self, seconds_waited: list[float]) -> None:
        self.instruments.batch_texts.observe(len(seconds_waited))
        for seconds in seconds_waited:
            self.instruments.waited.observe(seconds)


def _unchanged(text: str) -> Translation:
    return Translation(text, text, 0.0, ((text, 0.0),))


def _written(language: str, translator: Translator) -> str:
    """Return the code of what a model writes. Chinese is traditional where its cleaner makes it so."""
    code = canonical(language)
    traditional = code == "zh-Hans" and translator.bundle.target.cleaner.script == "traditional"
    return "zh-Hant" if traditional else code
