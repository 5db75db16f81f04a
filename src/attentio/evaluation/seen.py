"""Which held-out sentences a training has seen, up to case, punctuation and script."""

from attentio.data.heldout import HeldOut
from attentio.data.prepare import PreparedData, data_fingerprint
from attentio.data.split import split_keys


class SeenSentences:
    """The sentences that training, or the choice of a checkpoint on dev, has seen."""

    def __init__(self) -> None:
        self._keys: tuple[set[str], set[str]] = (set(), set())
        self._han = (False, False)
        self._known: set[str] = set()

    def add(self, data: PreparedData) -> None:
        """Add the training and dev sentences of prepared data, once."""
        mark = data_fingerprint(data.folder)
        if mark in self._known:
            return
        self._known.add(mark)
        self._han = (data.source.cleaner.han, data.target.cleaner.han)
        texts = data.training_texts()
        if data.dev is not None:
            texts[0].extend(data.dev.sources)
            texts[1].extend(line for lines in data.dev.references for line in lines)
        for side, lines in enumerate(texts):
            self._keys[side].update(split_keys(lines, han=self._han[side]))

    def unseen(self, held: HeldOut) -> HeldOut:
        """Return the sentences of which neither the source nor a reference was seen."""
        if not self._known:
            return held
        sources = split_keys(held.sources, han=self._han[0])
        targets = (split_keys(lines, han=self._han[1]) for lines in held.references)
        kept = [
            i
            for i, (source, lines) in enumerate(zip(sources, targets, strict=True))
            if source not in self._keys[0] and self._keys[1].isdisjoint(lines)
        ]
        return HeldOut(held.name, [held.sources[i] for i in kept], [held.references[i] for i in kept])
