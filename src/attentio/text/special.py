"""The special tokens of a vocabulary: padding, begin, end and unknown."""

from typing import NamedTuple


class SpecialIds(NamedTuple):
    """The ids of the special tokens. A tokenizer declares its own, and a model is built for them."""

    pad: int
    bos: int
    eos: int
    unk: int


SPECIAL = SpecialIds(0, 1, 2, 3)  # of every tokenizer that is trained here
SPECIAL_TOKENS = ("<pad>", "<s>", "</s>", "<unk>")
EOS_TOKEN = "</s>"
