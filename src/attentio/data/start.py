"""What a training on new pairs takes over from a model: how text is read, and pairs that it was trained on.

Earlier pairs keep the model from forgetting them. They come from the prepared data of its run. They are mixed into the
corpus of the new pairs while that is prepared. So a training needs its first model at the start only.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Self, cast

import numpy as np
import numpy.typing as npt

from attentio.data.corpus import MANIFEST, Encoded, EncodedCorpus
from attentio.data.heldout import HeldOut
from attentio.data.links import TokenLinks
from attentio.runtime.files import read_json
from attentio.text.clean import Cleaner
from attentio.text.tokenizer import Tokenizer, fingerprint

MOST_COPIES = 10  # of each new pair, beside earlier ones
CHUNK_PAIRS = 20_000
EARLIER = "earlier"  # the name of an earlier test set


class SideRules(NamedTuple):
    """What is known of one side before reading all of it. A model that is trained further has a tokenizer."""

    language: str | None
    cleaner: Cleaner
    tokenizer: Tokenizer | None = None
    guessed: bool = False  # the language: neither the user nor a file named it


def run_of(model: Path) -> Path:
    """Return the run folder that a model to start from belongs to: itself, or the one that its folder stands in."""
    return model.parent if model.name == "model" else model


def num_earlier(model: Path) -> int:
    """Return the training pairs of the run of a model, 0 where its data is not at hand."""
    held = read_json(run_of(model) / "data" / "train" / MANIFEST)
    return int(held.get("pairs", 0)) if isinstance(held, dict) else 0


@dataclass(frozen=True)
class Earlier:
    """What the run of a model was trained and tested on. fingerprint: of its prepared data."""

    train: EncodedCorpus
    links: TokenLinks | None
    dev: HeldOut | None
    tests: dict[str, HeldOut]
    fingerprint: str

    def held_out_texts(self) -> tuple[list[str], list[str]]:
        """Return all sources and references that the run held out."""
        sets = [*self.tests.values(), *([self.dev] if self.dev else [])]
        sources = [text for held in sets for text in held.sources]
        return sources, [text for held in sets for texts in held.references for text in texts]

    def named_tests(self) -> dict[str, HeldOut]:
        """Return the test sets by the names that they have beside those of the new pairs."""
        alone = len(self.tests) == 1
        return {EARLIER if alone else f"{EARLIER}-{name}": held for name, held in self.tests.items()}


@dataclass(frozen=True)
class Start:
    """Where a training starts.

    sides: languages, cleaners and tokenizers of the model. None for a run that was prepared before: `key` says what
    they were. earlier: None where only a model is at hand. share: of earlier pairs among all.
    longest_source: of the model's own training, in tokens.
    """

    key: Any
    sides: Sequence[SideRules] | None = None
    earlier: Earlier | None = None
    share: float = 0.0
    longest_source: int = 0

    @classmethod
    def of(
        cls, sides: Sequence[SideRules], earlier: Earlier | None = None, share: float = 0.0, longest_source: int = 0
    ) -> Self:
        """Return a start, with all that its outcome depends on as its key."""
        key: dict[str, Any] = {
            "sides": [[s.language, s.cleaner.as_dict(), s.tokenizer and fingerprint(s.tokenizer)] for s in sides]
        }
        if earlier is not None:
            key["earlier"] = [earlier.fingerprint, share]
        return cls(json.loads(json.dumps(key)), sides, earlier, share, longest_source)


class Mixture(NamedTuple):
    """How often each new pair stands in the corpus, and which of the earlier pairs do."""

    copies: int
    rows: npt.NDArray[np.int64]

    @classmethod
    def of(cls, new: int, earlier: int, share: float, seed: int) -> Self:
        """Return a mixture in which about `share` of all pairs are earlier ones, drawn from `seed`.

        New pairs stand there up to `MOST_COPIES` times, so that many different earlier ones can stand beside them.
        There are fewer where there are not so many.
        """
        wanted = share / (1 - share) * new  # beside one copy
        if not new or wanted < 1 or not earlier:
            return cls(1, np.empty(0, dtype=np.int64))
        copies = max(1, min(MOST_COPIES, int(earlier / wanted)))
        count = min(earlier, round(copies * wanted))
        drawn = np.random.default_rng([seed, count]).permutation(earlier)[:count]
        return cls(copies, np.sort(drawn))

    def encoded(self, corpus: EncodedCorpus) -> Iterator[tuple[Encoded, Encoded]]:
        """Yield the earlier pairs in chunks, as `CorpusWriter.add` takes them."""
        for start in range(0, len(self.rows), CHUNK_PAIRS):
            rows = self.rows[start : start + CHUNK_PAIRS]
            yield corpus.source.rows(rows), corpus.target.rows(rows)

    def links(self, earlier: Earlier) -> TokenLinks:
        """Return the known links of the earlier pairs, none where no links are known."""
        held = earlier.links
        return TokenLinks.of_pairs([()] * len(self.rows)) if held is None else held.of(self.rows)


def kept_start(manifest: dict[str, Any]) -> Start | None:
    """Return the start that data was prepared from, by its key alone. None where it had none."""
    if "start" in manifest:
        return None if manifest["start"] is None else Start(manifest["start"])
    # Earlier versions took tokenizers over as they were, and mixed nothing.
    sides = [cast(dict[str, Any], manifest[name]) for name in ("source", "target")]
    return Start({"sides": [[side["language"], side["cleaner"], side["tokenizer"]] for side in sides]})
