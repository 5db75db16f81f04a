"""Look at what a translation attended to: the strongest source word of each target word, and how sure it was.

python examples/look.py RUN "The book that she is reading is very interesting."
"""

import sys

from attentio import Translator
from attentio.metrics.focus import coverage, entropy, monotonicity
from attentio.trace import AttentionTrace


def main(run: str, sentence: str) -> AttentionTrace:
    """Print a line for each target word, then the measures of the whole map."""
    translation = Translator.load(run)(sentence)
    assert translation.trace is not None  # only a sentence longer than the model can take at once has none
    words = translation.trace.words()  # subwords joined, end-of-sentence left out
    weights = words.matrix()  # (T, S): the mean over layers and heads
    for target, row in zip(words.target_tokens, weights, strict=True):
        print(f"{target}\t{words.source_tokens[row.argmax()]}\t{row.max():.2f}")
    for measure in (entropy, coverage, monotonicity):
        value = measure(weights)
        print(f"{measure.__name__:<13}{'undefined' if value is None else f'{value:.2f}'}")
    return words


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
