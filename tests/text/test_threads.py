"""Tokenizers and cleaners are used by several threads at once."""

import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from attentio.text.clean import Cleaner
from attentio.text.learn import train_tokenizer
from attentio.text.tokenizer import CharTokenizer, SentencePieceTokenizer, Tokenizer, load_tokenizer

THREADS, ROUNDS = 8, 50
LINES = [f"the cat {number} sees {number * 7} dogs, don't they? 猫狗 猫。" for number in range(60)]


@pytest.fixture(autouse=True)
def switching_often() -> Iterator[None]:
    """Let threads take turns a thousand times as often as usual, so that what they share shows."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(5e-6)
    yield
    sys.setswitchinterval(interval)


def together(work: Callable[[int], object], expected: Callable[[int], object]) -> None:
    """Do the same work in many threads, each beginning elsewhere, and compare with what one thread does."""
    wanted = [expected(number) for number in range(len(LINES))]

    def run(thread: int) -> list[int]:
        order = [(thread * 7 + step) % len(LINES) for step in range(ROUNDS)]
        return [number for number in order if work(number) != wanted[number]]

    with ThreadPoolExecutor(THREADS) as pool:
        assert [wrong for wrong in pool.map(run, range(THREADS)) if wrong] == []


def lines_from(number: int) -> list[str]:
    return LINES[number:] + LINES[:number]


@pytest.mark.parametrize("kind", ["word", "char", "sentencepiece"])
def test_one_text(kind: str) -> None:
    def all_of(tokenizer: Tokenizer) -> Callable[[int], object]:
        return lambda number: (
            tokenizer.encode(LINES[number]),
            tokenizer.spans(LINES[number]),
            tokenizer.decode(tokenizer.encode(LINES[number])),
            tokenizer.unseen(f"{LINES[number]} 龘"),
        )

    together(all_of(train_tokenizer(kind, LINES)), all_of(train_tokenizer(kind, LINES)))


@pytest.mark.slow
def test_a_cache_of_words_that_overflows_all_the_time() -> None:
    trained = train_tokenizer("sentencepiece", LINES)
    shared = SentencePieceTokenizer(trained.to_bytes(), cached_words=20)

    def by_line(number: int) -> list[int]:
        return [i for line in lines_from(number)[:9] for i in trained.encode(line)]

    together(lambda number: shared.encode_lines(lines_from(number)[:9])[0].tolist(), by_line)


def test_a_table_of_characters_that_all_need_at_once() -> None:
    trained = train_tokenizer("char", LINES)
    expected = trained.encode_lines(LINES)[0].tolist()
    for _ in range(20):
        fresh = CharTokenizer(trained.tokens)
        with ThreadPoolExecutor(THREADS) as pool:
            found = list(pool.map(lambda _, used=fresh: used.encode_lines(LINES)[0].tolist(), range(THREADS)))
        assert found == [expected] * THREADS


def test_cleaning() -> None:
    shared, alone = Cleaner(han=True, script="simplified"), Cleaner(han=True, script="simplified")
    text = "頭髮  發展 了 ? "
    together(
        lambda number: shared.lines([text + LINES[number], text]),
        lambda number: alone.lines([text + LINES[number], text]),
    )


def test_loading_what_is_shared(tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("shared") / "tokenizer"
    path.write_bytes(train_tokenizer("sentencepiece", LINES).to_bytes())
    with ThreadPoolExecutor(THREADS) as pool:
        found = list(pool.map(lambda _: load_tokenizer(path).encode(LINES[0]), range(THREADS)))
    assert found == [found[0]] * THREADS
