"""How good is a translator from few pairs, with one setting and with another?

    python benchmarks/small_corpora.py cmn-2018.txt --pairs 400 1000 --seeds 1 2 3 --settings small "auto" \
        "tiny train.epochs=100 train.warmup_steps=50" --out results.jsonl

Draws pairs from a parallel file (or from small-world or hsk) by seed, trains in this process with each setting (a
preset, then `section.key=value`), and scores 500 other pairs greedily. No source and no target of these stands in
training. Part of the drawn pairs is held out for choosing, as in every training. --out gets a line of JSON a run.

References are read as `attentio evaluate` reads them: cleaned, and in the script that the model writes.

chrF2 is sacreBLEU's. `strict` is chrF2 without effective order, which gives nothing for outputs without long matches.
`same` is the share of the commonest output.
"""

import argparse
import json
import random
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import torch
from sacrebleu.metrics.chrf import CHRF

from attentio.data.report import DropLog
from attentio.data.settings import DataConfig
from attentio.data.source import open_rows, origins
from attentio.metrics.quality import corpus_chrf, metrics, written_in
from attentio.train.run import train_files
from attentio.translator import Translator

TEST_PAIRS = 500


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", help="a parallel file, small-world or hsk")
    parser.add_argument("--columns", help="as in attentio train")
    parser.add_argument("--pairs", type=int, nargs="+", default=[400, 1000])
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--settings", nargs="+", default=["auto"])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, help="append one line of JSON for each run here")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    everything = read_all(arguments.data, arguments.columns)
    for pairs in arguments.pairs:
        for text in arguments.settings:
            preset, *overrides = text.split()
            rows = [run(everything, pairs, seed, preset, overrides) for seed in arguments.seeds]
            for row in rows:
                row |= {"data": Path(arguments.data).stem, "pairs": pairs, "setting": text}
                if arguments.out is not None:
                    with arguments.out.open("a", encoding="utf-8") as file:
                        file.write(json.dumps(row, ensure_ascii=False) + "\n")
            means = {key: sum(row[key] for row in rows) / len(rows) for key in ("chrf", "strict", "bleu", "seconds")}
            each = " ".join(f"{row['chrf']:.1f}" for row in rows)
            said = "  ".join(f"{key} {value:.2f}" for key, value in means.items())
            print(
                f"{pairs:>7,}  {said}  same {max(row['same'] for row in rows):.2f}  [{each}]  "
                f"{rows[0]['steps']:,} steps, best {rows[0]['best_step']:,}, {rows[0]['ended']}  {text}",
                flush=True,
            )


def read_all(data: str, columns: str | None) -> list[tuple[str, str]]:
    """Return all pairs of a file or a built-in corpus, repeated ones left out, in the order of the file."""
    config = DataConfig(train=[data], columns=columns, small_world_pairs=40_000)
    (origin,) = origins(config)
    return list(dict.fromkeys((source, target) for source, target, _ in open_rows(origin, config, DropLog()).pairs))


def draw(
    everything: list[tuple[str, str]], pairs: int, seed: int
) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """Return pairs to train on, and test pairs of which no side stands there."""
    order = random.Random(seed).sample(everything, len(everything))
    test = order[:TEST_PAIRS]
    sources, targets = ({pair[side] for pair in test} for side in (0, 1))
    kept = [pair for pair in order[TEST_PAIRS:] if pair[0] not in sources and pair[1] not in targets]
    return kept[:pairs], test


def run(everything: list[tuple[str, str]], pairs: int, seed: int, preset: str, overrides: list[str]) -> dict[str, Any]:
    """Train once and score the test pairs."""
    train, test = draw(everything, pairs, seed)
    settings: dict[str, object] = {"data.test": 0, "train.seed": seed}
    for override in overrides:
        name, _, value = override.partition("=")
        try:
            settings[name] = json.loads(value)
        except ValueError:
            settings[name] = value
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "pairs.tsv"
        path.write_text("".join(f"{source}\t{target}\n" for source, target in train), encoding="utf-8")
        began = time.perf_counter()
        result = train_files(path, Path(folder) / "run", preset=preset, settings=settings)
        seconds = time.perf_counter() - began
        translator = Translator.load(Path(folder) / "run")
        outputs = [translation.text for translation in translator.translate([source for source, _ in test])]
        references = translator.bundle.target.cleaner.lines([target for _, target in test])
    strict = float(CHRF(eps_smoothing=True).corpus_score(outputs, [references]).score)
    bleu = metrics(written_in(references))["BLEU"].corpus_score(outputs, [references]).score
    return {
        "seed": seed, "chrf": corpus_chrf(outputs, references), "strict": strict, "bleu": float(bleu),
        "same": Counter(outputs).most_common(1)[0][1] / len(outputs), "seconds": seconds,
        "steps": result.steps, "best_step": result.best_step, "ended": result.ended, "best_dev": result.best_dev_chrf,
    }  # fmt: skip


if __name__ == "__main__":
    main()
