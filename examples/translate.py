"""Translate with a trained run, from Python.

python examples/translate.py RUN "I love you." "Where is my book?"
"""

import sys

from attentio import Translator


def main(run: str, sentences: list[str]) -> list[str]:
    """Print each translation with the logarithm of its probability per token."""
    translator = Translator.load(run)
    translations = [translator(sentence, beam_size=4) for sentence in sentences]
    for translation in translations:
        print(f"{translation.score:7.2f}  {translation.source}  {translation.text}")
    return [translation.text for translation in translations]


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
