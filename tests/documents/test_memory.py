"""Memories: known texts get their translation, similar ones are offered, corrections are kept for training."""

import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attentio.data.readers.delimited import read_delimited
from attentio.data.readers.lines import Origin
from attentio.data.report import DropLog
from attentio.data.settings import DataConfig
from attentio.documents import Memory, append_pair
from attentio.errors import DataError, MissingExtra, UsageError
from attentio.translator import Translation

TMX = """<tmx version="1.4"><header srclang="en"/><body>
<tu><tuv xml:lang="en-US"><seg>I love <ph>x</ph>you</seg></tuv><tuv xml:lang="zh-CN"><seg>我爱你</seg></tuv></tu>
<tu><tuv xml:lang="en"><seg>Yes.</seg></tuv><tuv xml:lang="de"><seg>Ja.</seg></tuv></tu>
<tu><tuv xml:lang="zh"><seg>好。</seg></tuv><tuv xml:lang="en"><seg>Good.</seg></tuv></tu>
</body></tmx>"""


def translate(texts: Sequence[str]) -> list[Translation]:
    return [Translation(text, text.upper(), -1.0, ((text.upper(), -1.0),), lost=("x",)) for text in texts]


def test_tmx(tmp_path: Path) -> None:
    path = tmp_path / "tm.tmx"
    path.write_text(TMX, encoding="utf-8")
    memory = Memory.read(path, "en", "zh")
    assert len(memory) == 2
    assert memory.exact("  I  love you\n") == "  我爱你\n"
    assert memory.exact("Good.") == "好。"
    assert memory.exact("good.") is memory.exact("Yes.") is memory.exact("") is None
    with pytest.raises(DataError, match="has no unit in en and fr"):
        Memory.read(path, "en", "fr")
    path.write_text(TMX[:300], encoding="utf-8")
    with pytest.raises(DataError, match=r"tm\.tmx line 4: not well-formed XML"):
        Memory.read(path, "en", "zh")
    with pytest.raises(DataError, match=r"none\.tmx: No such file"):
        Memory.read(tmp_path / "none.tmx", "en", "zh")


def test_similar_texts_have_their_similarity() -> None:
    memory = Memory([("I love you", "我爱你"), ("I love her", "我爱她"), ("Good night", "晚安")])
    found = memory.similar("I love you")
    assert [(match.text, match.score) for match in found] == [("我爱你", 1.0), ("我爱她", 0.7)]
    # Of 9 + 10 characters 2 * 8 are common, "I love h", or 2 * 7, "I love ".
    assert [(match.text, match.score) for match in memory.similar("I love hm")] == [
        ("我爱她", round(1 - 3 / 19, 4)),
        ("我爱你", round(1 - 5 / 19, 4)),
    ]
    assert memory.similar("") == memory.similar("something else") == []


def test_similar_texts_need_a_package(monkeypatch: pytest.MonkeyPatch) -> None:
    memory = Memory([("I love you", "我爱你")])
    monkeypatch.setitem(sys.modules, "rapidfuzz", None)
    assert memory.exact("I love you") == "我爱你"
    with pytest.raises(MissingExtra, match=r"pip install 'attentio\[documents\]'"):
        memory.similar("I love you")


def test_known_sentences_come_from_the_memory() -> None:
    memory = Memory([("Yes.", "是。"), ("All of it. Is known.", "都知道。"), ("Yes.", "对。")])
    asked: list[list[str]] = []

    def ask(texts: Sequence[str]) -> list[Translation]:
        asked.append(list(texts))
        return translate(texts)

    texts = ["Yes.", "No.", "Yes. No. Maybe so.", "No. Not now.", "All of it. Is known.", ""]
    found = memory.translate(texts, ask, "en")
    assert asked == [["No.", "No. Not now.", "", "Maybe so."]]
    assert [each.text for each in found] == ["对。", "NO.", "对。NO. MAYBE SO.", "NO. NOT NOW.", "都知道。", ""]
    assert [each.lost for each in found][:3] == [(), ("x",), ("x", "x")]
    assert [leaf.text for leaf in found[2].leaves()] == ["对。", "NO.", "MAYBE SO."]
    assert memory.translate(["Yes."], ask) == [Translation("Yes.", "对。", 0.0, (("对。", 0.0),))]
    assert len(asked) == 1


@pytest.mark.slow
@given(st.lists(st.tuples(st.text(max_size=8), st.text(max_size=8)), max_size=4))
def test_corrections_are_read_by_training(
    tmp_path_factory: pytest.TempPathFactory, pairs: list[tuple[str, str]]
) -> None:
    path = tmp_path_factory.mktemp("corrections") / "corrections.tsv"
    kept = []
    for source, target in pairs:
        try:
            append_pair(path, source, target)
        except UsageError:
            continue
        kept.append(path.read_text(encoding="utf-8").split("\n")[-2].split("\t"))
    if kept:
        rows = read_delimited(Origin("corrections", path), DataConfig(), DropLog()).pairs
        assert [[source, target] for source, target, _ in rows] == kept
        assert all(len(row) == 2 and all(row) for row in kept)


def test_corrections_of_many_threads_are_all_there(tmp_path: Path) -> None:
    path = tmp_path / "corrections.tsv"
    path.write_bytes(b"a\tb")  # without an end
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: append_pair(path, f"source\n{number}", "x" * 5_000), range(50)))
    lines = path.read_text(encoding="utf-8").splitlines()
    assert lines[0] == "a\tb"
    assert sorted(lines[1:]) == sorted(f"source {number}\t{'x' * 5_000}" for number in range(50))
