"""Train a translator and compare two kinds of attention, from Python.

python examples/train_and_compare.py DATA FOLDER
"""

import sys
from pathlib import Path

import attentio


def main(data: str, folder: Path, **settings: object) -> list[dict[str, object]]:
    """Print how a training went, and one line for each kind. Return the records of the comparison."""
    trained = attentio.train(data, folder / "run", preset="tiny", settings=settings, say=print)
    for record in trained.records:  # or: pandas.DataFrame(trained.records)
        print(f"update {record['step']:,}: dev chrF {record['dev_chrf']:.1f}")
    compared = attentio.compare(
        data, folder / "compared", vary=["attention.score=dot,additive"], seeds=1, preset="tiny", settings=settings
    )
    for record in compared.records:
        print(f"{record['cell']}: BLEU {record['BLEU']:.1f}, chrF {record['chrF2']:.1f}")
    return compared.records


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
