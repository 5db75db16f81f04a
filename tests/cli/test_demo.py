"""What the demo claims of its own sentences."""

import importlib.util

import pytest

from attentio.cli.demo import SENTENCES
from attentio.corpora.small_world.sampling import sampled
from attentio.data.settings import DataConfig
from attentio.data.source import origins, read_chunks


def plain(sentence: str) -> str:
    return sentence.lower().rstrip(".?!")


@pytest.mark.slow
def test_there_are_ten_and_the_small_world_has_none_of_them() -> None:
    known = {plain(pair.source) for pair in sampled(DataConfig().small_world_pairs)}
    assert len(SENTENCES) == 10
    assert not known & {plain(sentence) for sentence in SENTENCES}


def test_the_real_sentences_have_none_of_them() -> None:
    if importlib.util.find_spec("hsk_sentences_audio") is None:
        pytest.skip("the corpus of real sentences is not installed")
    from attentio.data.report import DropLog

    config = DataConfig(train=["hsk"])
    (origin,) = origins(config)
    known = {plain(source) for chunk in read_chunks(origin, config, DropLog()) for source in chunk.sources}
    assert len(known) > 4000
    assert not known & {plain(sentence) for sentence in SENTENCES}
