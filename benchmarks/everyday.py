"""How many of a hundred everyday sentences does a model get right? Right is what one of several references says.

    python benchmarks/everyday.py cmn.txt --max-time 10m --out everyday-run    # train without them, then count
    python benchmarks/everyday.py --run RUN                                    # count only

Sentences and references are ours, in everyday/sentences.tsv: English, then one or more Chinese sentences. A training
pair is left out where its English side is one of them. Case, punctuation, spaces and the Chinese script do not count.
With --run, nothing says what the model was trained on.
"""

import argparse
import re
import tempfile
from pathlib import Path

from attentio.data.report import DropLog
from attentio.data.settings import DataConfig
from attentio.data.source import open_rows, origins
from attentio.search import DEFAULT_BEAM
from attentio.search.batched import SearchConfig
from attentio.text.clean import convert
from attentio.train.run import train_files
from attentio.translator import Translator

SENTENCES = Path(__file__).parent / "everyday" / "sentences.tsv"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="?", help="a parallel file, English and Chinese")
    parser.add_argument("--run", type=Path, help="a model that is trained already")
    parser.add_argument("--max-time", default="10m")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("everyday-run"))
    arguments = parser.parse_args()
    held = [line.split("\t") for line in SENTENCES.read_text(encoding="utf-8").splitlines()]
    run = arguments.run or train_without(held, arguments)
    found = Translator.load(run).translate([english for english, *_ in held], SearchConfig(DEFAULT_BEAM))
    right = 0
    for (english, *references), translation in zip(held, found, strict=True):
        good = plain(translation.text) in set(map(plain, references))
        right += good
        print(f"{'right' if good else '-':<6}{english:<36}{translation.text}")
    print(f"{right} of {len(held)} right")


def train_without(held: list[list[str]], arguments: argparse.Namespace) -> Path:
    """Train on the pairs of a file without these sentences. Return the run."""
    config = DataConfig(train=[arguments.data])
    (origin,) = origins(config)
    known = {plain(english) for english, *_ in held}
    pairs = [(s, t) for s, t, _ in open_rows(origin, config, DropLog()).pairs]
    kept = [pair for pair in pairs if plain(pair[0]) not in known]
    print(f"{len(pairs) - len(kept):,} of {len(pairs):,} pairs are left out of training")
    settings = {"train.max_seconds": duration(arguments.max_time), "train.seed": arguments.seed, "data.test": 0}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "pairs.tsv"
        path.write_text("".join(f"{source}\t{target}\n" for source, target in kept), encoding="utf-8")
        train_files(path, arguments.out, settings=settings, say=print)
    return arguments.out


def duration(text: str) -> float:
    """Return the seconds of a time such as 90s, 10m or 2h."""
    return float(text[:-1]) * {"s": 1, "m": 60, "h": 3600}[text[-1]]


def plain(text: str) -> str:
    """Return what counts of a sentence."""
    return re.sub(r"[\W_]+", "", convert("t2s", text).lower())


if __name__ == "__main__":
    main()
