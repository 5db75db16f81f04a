"""The whole pipeline: nothing lost unsaid, nothing leaked, everything found again, and bad data named in one line."""

import json
import shutil
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from attentio.corpora.small_world import sampling
from attentio.data import pipeline, source
from attentio.data.heldout import HeldOut, LinkedPair, read_links, read_tsv, write_links
from attentio.data.prepare import PreparedData, is_prepared, prepare
from attentio.data.report import DataReport
from attentio.data.settings import DataConfig
from attentio.data.split import split_keys
from attentio.errors import DataError, ModelError, ResourceError
from attentio.text.placeholders import PLACEHOLDERS

NOUNS = (
    *("cat", "dog", "bird", "fish", "horse", "cow", "sheep", "pig", "duck", "goose"),
    *("lion", "tiger", "bear", "wolf", "fox", "deer", "mouse", "rabbit", "frog", "snake"),
)
HAN = "猫狗鸟鱼马牛羊猪鸭鹅狮虎熊狼狐鹿鼠兔蛙蛇"
NUMBERS = "一二三四五六七八九十"


def made(count: int = 400) -> list[tuple[str, str]]:
    """Distinct pairs; every tenth source has a second translation."""
    pairs: list[tuple[str, str]] = []
    for i in range(count):
        noun, number, place = i % 20, i // 20 % 10, i // 200
        source = f"I see {number} of the {NOUNS[noun]}s{' here' * place}."
        pairs.append((source, f"我看见{NUMBERS[number]}只{HAN[noun]}{'在这里' * place}。"))
        if i % 10 == 0:
            pairs.append((source, f"{NUMBERS[number]}只{HAN[noun]}我看见了{'在这里' * place}。"))
    return pairs


def put(folder: Path, name: str, pairs: list[tuple[str, str]]) -> str:
    path = folder / name
    path.write_text("".join(f"{s}\t{t}\n" for s, t in pairs), encoding="utf-8")
    return str(path)


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., PreparedData]]:
    def run(pairs: list[tuple[str, str]] | None = None, seed: int = 1, **settings: object) -> PreparedData:
        if "train" not in settings:
            settings["train"] = [put(tmp_path, "data.tsv", pairs if pairs is not None else made())]
        return prepare(DataConfig.model_validate(settings), tmp_path / "prepared", seed=seed)

    return run


def texts(data: PreparedData) -> list[tuple[str, str]]:
    """Training pairs, decoded."""
    return [
        (
            data.source.tokenizer.decode(data.train.source[i].tolist()),
            data.target.tokenizer.decode(data.train.target[i].tolist()),
        )
        for i in range(len(data.train))
    ]


def pairs_of(held: HeldOut) -> list[tuple[str, str]]:
    return [(s, r) for s, found in zip(held.sources, held.references, strict=True) for r in found]


def test_every_pair_is_in_exactly_one_place(make: Callable[..., PreparedData]) -> None:
    data = make(dev=20, test=30)
    assert data.dev is not None
    held = [
        (s, r)
        for part in (data.dev, data.tests["test"])
        for s, rs in zip(part.sources, part.references, strict=True)
        for r in rs
    ]
    assert sorted(texts(data) + held) == sorted(made())
    assert (data.report.train, data.report.dev, data.report.test) == (440 - 50, 20, 30)
    assert (len(data.train), data.dev.pairs, data.tests["test"].pairs) == (390, 20, 30)


def test_no_sentence_of_training_is_held_out(make: Callable[..., PreparedData]) -> None:
    data = make(dev=0.1, test=0.1)
    assert data.dev is not None
    train = texts(data)
    for part in (data.dev, data.tests["test"]):
        assert not set(split_keys(part.sources, han=False)) & set(split_keys([s for s, _ in train], han=False))
        references = [reference for found in part.references for reference in found]
        assert not set(references) & {target for _, target in train}
    assert data.report.leak is not None
    assert data.report.leak_random is not None
    assert data.report.leak.either == 0
    assert data.report.leak_random.either > 0


def test_references_of_one_source_stay_together(make: Callable[..., PreparedData]) -> None:
    data = make(dev=0, test=100)
    test = data.tests["test"]
    assert len(set(test.sources)) == len(test.sources)
    known: dict[str, list[str]] = {}
    for s, t in made():
        known.setdefault(s, []).append(t)
    assert all(sorted(known[s]) == sorted(r) for s, r in zip(test.sources, test.references, strict=True))
    assert max(map(len, test.references)) == 2


def test_languages_and_tokenizers_are_chosen(make: Callable[..., PreparedData]) -> None:
    data = make()
    assert (data.source.language, data.target.language) == ("en", "zh")
    assert (data.source.tokenizer.kind, data.target.tokenizer.kind) == ("sentencepiece", "char")
    assert data.target.cleaner("你好,世界") == "你好，世界"
    assert data.source.cleaner("a,b") == "a,b"


def test_small_data_holds_nothing_out(make: Callable[..., PreparedData]) -> None:
    data = make(made(100)[:100])
    assert (len(data.train), data.dev, data.tests) == (100, None, {})
    assert "split  100 train, no held-out part" in data.report.lines()
    assert [note[:40] for note in data.report.notes] == [
        "no dev set: fewer than 200 pairs. To hol",
        "no test set: fewer than 200 pairs. To ho",
    ]
    assert data.report.leak is None


def test_by_default_a_twentieth_is_held_out(make: Callable[..., PreparedData]) -> None:
    report = make().report
    assert (report.dev, report.test) == (22, 22)


# Dropping and reporting


MESSY = [
    ("One cat.", "一只猫。"),
    ("", "空。"),
    ("One cat.", "一隻貓 ."),
    ("Same", "Same"),
    ("Two cats.", "两只猫。" * 40),
    ("No translation here", " \u200b"),
    ("A long " + "word " * 30, "很长很长很长很长很长很长很长很长很长很长的话。"),
    ("Three cats.", "三只猫。"),
]


def test_every_dropped_pair_is_counted_by_reason_and_listed(make: Callable[..., PreparedData]) -> None:
    data = make(MESSY, dev=0, test=0, max_length=30, keep_going=True)
    assert data.report.dropped == {"empty": 2, "identical": 1, "length ratio": 1, "duplicate": 1, "too long": 1}
    [part] = data.report.parts
    assert (part.read, part.train) == (8, 2)
    assert part.first_dropped["empty"] == [2, 6]
    rows = [line.split("\t") for line in (data.folder / "dropped.tsv").read_text(encoding="utf-8").split("\n")[1:-1]]
    assert sorted((int(line), reason) for _, line, reason, *_ in rows) == [
        (2, "empty"),
        (3, "duplicate"),
        (4, "identical"),
        (5, "length ratio"),
        (6, "empty"),
        (7, "too long"),
    ]
    assert ["data", "3", "duplicate", "One cat.", "一只猫。"] in rows
    assert data.report.lines()[0] == (
        "data   2 pairs kept, 6 dropped (2 empty, 1 identical, 1 length ratio, 1 duplicate, 1 too long)"
    )
    assert "warning: data: 2 pairs with an empty side dropped (first: lines 2, 6)." in data.report.warnings()


def test_the_report_is_saved_and_loaded(make: Callable[..., PreparedData]) -> None:
    data = make()
    assert DataReport.load(data.folder / "report.json") == data.report
    assert json.loads((data.folder / "report.json").read_text(encoding="utf-8"))["schema"] == 1


def test_the_script_mix_is_taken_before_conversion(make: Callable[..., PreparedData]) -> None:
    pairs = [("One cat", "一隻貓在這裡"), ("Two cats", "两只猫在这里"), ("A mountain", "山")]
    converted = make(pairs, dev=0, test=0)
    assert converted.report.target.script_mix == {
        "traditional": pytest.approx(1 / 3),
        "simplified": pytest.approx(1 / 3),
        "neutral": pytest.approx(1 / 3),
        "mixed": 0,
    }
    assert {t for _, t in texts(converted)} == {"一只猫在这里", "两只猫在这里", "山"}
    kept = make(pairs, dev=0, test=0, script="keep")
    assert {t for _, t in texts(kept)} == {t for _, t in pairs}
    traditional = make(pairs, dev=0, test=0, script="traditional")
    assert "兩隻貓在這裏" in {t for _, t in texts(traditional)}


def test_unseen_characters_of_held_out_text_are_counted(make: Callable[..., PreparedData], tmp_path: Path) -> None:
    test = put(tmp_path, "test.tsv", [("A dragon.", "龙龙龘。")])
    data = make(dev=0, test=test, source_tokenizer="word")
    assert data.report.target.unseen_in_test == 2
    assert data.report.source.unseen_in_test == 2  # "a" and "dragon"


# Files for dev and test, several parts


def test_what_a_dev_file_holds_is_taken_out_of_training(make: Callable[..., PreparedData], tmp_path: Path) -> None:
    in_dev = [made()[3], ("A new one.", made()[7][1]), (made()[15][0], "另一句。"), ("Entirely new.", "全新的。")]
    dev = put(tmp_path, "dev.tsv", in_dev)
    data = make(dev=dev, test=0)
    assert data.dev is not None
    assert data.dev.sources == [source_text for source_text, _ in in_dev]
    trained = texts(data)
    assert made()[3] not in trained
    assert made()[7] not in trained
    assert made()[15] not in trained
    assert data.report.dropped == {"in held-out file": 3}
    assert data.report.leak is not None
    assert data.report.leak_random is not None
    assert (data.report.leak.either, round(data.report.leak_random.either, 2)) == (0, 0.75)
    assert any("3 training pairs share a side with the dev or test file" in note for note in data.report.notes)


def test_training_data_wholly_inside_the_test_file(make: Callable[..., PreparedData], tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no pair is left for training"):
        make(test=put(tmp_path, "test.tsv", made()))


def test_each_part_has_its_own_test_set(make: Callable[..., PreparedData], tmp_path: Path) -> None:
    first, second = made(400), [(s.replace("see", "hear"), t.replace("看见", "听见")) for s, t in made(400)]
    data = make(
        train=[put(tmp_path, "see.tsv", first), put(tmp_path, "hear.tsv", second + first[:40])], dev=10, test=25
    )
    assert {name: test.pairs for name, test in data.tests.items()} == {"see": 25, "hear": 25}
    assert sorted(path.name for path in (data.folder / "test").iterdir()) == ["hear.tsv", "see.tsv"]
    assert all("see" in s for s in data.tests["see"].sources)
    assert all("hear" in s for s in data.tests["hear"].sources)
    assert data.report.dropped == {"duplicate": 40}
    assert [part.test for part in data.report.parts] == [25, 25]
    assert data.report.dev == 20


class WorldPair(NamedTuple):
    source: str
    target: str
    source_words: tuple[str, ...]
    target_words: tuple[str, ...]
    source_spans: tuple[tuple[int, int], ...]
    target_spans: tuple[tuple[int, int], ...]
    links: frozenset[tuple[int, int]]


def world(count: int) -> tuple[WorldPair, ...]:
    """A stand-in for the grammar: "A cat 17." / "17猫。" with crossing links."""
    found: list[WorldPair] = []
    for i in range(count):
        noun, han, number = NOUNS[i % 20], HAN[i % 20], str(i)
        a, b = len(noun), len(number)
        found.append(
            WorldPair(
                f"A {noun} {number}.",
                f"{number}{han}。",
                ("a", noun, number, "."),
                (number, han, "。"),
                ((0, 1), (2, 2 + a), (3 + a, 3 + a + b), (3 + a + b, 4 + a + b)),
                ((0, b), (b, b + 1), (b + 1, b + 2)),
                frozenset({(0, 1), (1, 1), (2, 0), (3, 2)}),
            )
        )
    return tuple(found)


@pytest.mark.parametrize("direction", [("en", "zh"), ("zh", "en")])
def test_word_links_of_the_small_world_are_kept(
    make: Callable[..., PreparedData], monkeypatch: pytest.MonkeyPatch, direction: tuple[str, str]
) -> None:
    monkeypatch.setattr(sampling, "sampled", world)
    data = make(
        train=["small-world"],
        small_world_pairs=300,
        dev=10,
        test=20,
        source_language=direction[0],
        target_language=direction[1],
    )
    written = read_tsv(data.folder / "test.tsv")
    linked = list(read_links(data.links["test"]))
    assert len(linked) == len(written) == 20
    known = {pair.source: pair for pair in world(300)}
    for (s, t), pair in zip(written, linked, strict=True):
        english, chinese = (s, t) if direction[0] == "en" else (t, s)
        backwards = direction[0] == "zh"
        english_words, chinese_words = pair[1::-1] if backwards else pair[:2]
        assert english_words == ("A", *known[english].source_words[1:]), "words are spelt as in the text"
        assert "".join(chinese_words) == chinese
        links = {(j, i) for i, j in pair.links} if backwards else pair.links
        assert links == known[english].links


def test_links_are_written_as_published_sets_but_from_zero(tmp_path: Path) -> None:
    pair = LinkedPair(("A", "cat"), ("猫",), frozenset({(1, 0), (0, 0)}))
    write_links(tmp_path / "x", [pair])
    assert (tmp_path / "x.src-tgt").read_text(encoding="utf-8") == "A cat ||| 猫\n"
    assert (tmp_path / "x.gold").read_text() == "0-0 1-0\n"
    assert list(read_links(tmp_path / "x")) == [pair]


# Doing it once


def test_the_same_preparation_is_not_done_twice(
    make: Callable[..., PreparedData], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = make()

    def never(*_: object) -> None:
        raise AssertionError("prepared again")

    monkeypatch.setattr(pipeline, "train_tokenizer", never)
    again = make()
    assert again.report == first.report
    assert np.array_equal(again.train.source.tokens, first.train.source.tokens)
    assert again.source.tokenizer.tokens == first.source.tokenizer.tokens


@pytest.mark.parametrize("change", ["content", "seed", "setting"])
def test_anything_that_matters_makes_it_anew(make: Callable[..., PreparedData], change: str) -> None:
    first = make() if change == "seed" else None
    settings = {"content": {"pairs": made(300)}, "seed": {"seed": 2}, "setting": {"test": 33}}[change]
    data = make(**settings)
    if change == "content":
        assert data.report.parts[0].read == 330
    elif change == "setting":
        assert data.report.test == 33
    elif first is not None:
        assert data.tests["test"].sources != first.tests["test"].sources


def test_a_split_seed_holds_the_split_still(make: Callable[..., PreparedData], tmp_path: Path) -> None:
    """Whatever the seed of the training; and it is the same split that this seed alone would draw."""
    held = make(seed=5).tests["test"].sources
    config = DataConfig(train=[put(tmp_path, "data.tsv", made())], split_seed=5)
    assert is_prepared(config, tmp_path / "prepared", seed=1)
    assert prepare(config, tmp_path / "other", seed=2).tests["test"].sources == held
    assert make(seed=1, split_seed=6).tests["test"].sources != held


def test_two_preparations_are_the_same_bytes(tmp_path: Path) -> None:
    config = DataConfig(train=[put(tmp_path, "data.tsv", made())])
    folders = [prepare(config, tmp_path / name, seed=1).folder for name in ("a", "b")]
    files = [sorted(p.relative_to(folder) for p in folder.rglob("*") if p.is_file()) for folder in folders]
    assert files[0] == files[1]
    for name in files[0]:
        if name.name != "report.json":  # holds the time it took
            assert (folders[0] / name).read_bytes() == (folders[1] / name).read_bytes()


def test_a_chunk_size_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = DataConfig(train=[put(tmp_path, "data.tsv", [*made(), *MESSY])])
    whole = prepare(config, tmp_path / "a", seed=1)
    monkeypatch.setattr(source, "CHUNK_LINES", 7)
    parts = prepare(config, tmp_path / "b", seed=1)
    assert texts(parts) == texts(whole)
    assert parts.report.dropped == whole.report.dropped
    assert parts.tests == whole.tests


def test_an_error_leaves_nothing_behind(make: Callable[..., PreparedData], tmp_path: Path) -> None:
    with pytest.raises(DataError):
        make([("", "")])
    assert [path.name for path in tmp_path.iterdir()] == ["data.tsv"]


def test_a_folder_with_other_things_in_it_is_not_touched(make: Callable[..., PreparedData], tmp_path: Path) -> None:
    (tmp_path / "prepared").mkdir()
    (tmp_path / "prepared" / "thesis.txt").write_text("mine")
    with pytest.raises(DataError, match="is not empty and holds no prepared data"):
        make()
    assert (tmp_path / "prepared" / "thesis.txt").read_text() == "mine"


def test_a_tokenizer_of_another_run_is_refused(make: Callable[..., PreparedData]) -> None:
    data = make()
    (data.folder / "target.tokenizer").write_bytes(data.source.tokenizer.to_bytes())
    with pytest.raises(DataError, match=r"target\.tokenizer is altered"):
        PreparedData.load(data.folder)


def test_there_is_nothing_to_load(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no prepared data here"):
        PreparedData.load(tmp_path)


def test_progress_is_told(tmp_path: Path) -> None:
    told: list[tuple[str, int]] = []
    config = DataConfig(train=[put(tmp_path, "data.tsv", made())])
    prepare(config, tmp_path / "a", seed=1, progress=lambda stage, pairs: told.append((stage, pairs)))
    assert [stage for stage, _ in told] == ["clean", "tokenizer", "tokenizer", "encode"]
    assert told[-1][1] == 440


# Bad data


def fault(make: Callable[..., PreparedData], pairs: list[tuple[str, str]], **settings: object) -> str:
    with pytest.raises(DataError) as caught:
        make(pairs, **settings)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_mostly_empty_lines(make: Callable[..., PreparedData], tmp_path: Path) -> None:
    pairs = [("One.", "一。"), *[("Two.", "")] * 3]
    assert fault(make, pairs) == (
        f"{tmp_path}/data.tsv: 3 of 4 pairs have an empty side (first: lines 2, 3, 4). Nothing was trained. "
        "If that is meant: --keep-going."
    )
    assert len(make(pairs, keep_going=True, dev=0, test=0).train) == 1


def test_half_empty_lines_are_only_dropped(make: Callable[..., PreparedData]) -> None:
    assert len(make([("One.", "一。"), ("Two.", "")], dev=0, test=0).train) == 1


def test_the_same_text_on_both_sides(make: Callable[..., PreparedData]) -> None:
    assert "400 of 400 pairs have the same text on both sides" in fault(
        make, [(s + str(i), s + str(i)) for i, (s, _) in enumerate(made()[:400])]
    )


def test_swapped_columns(make: Callable[..., PreparedData], tmp_path: Path) -> None:
    swapped = [(t, s) for s, t in made()]
    assert fault(make, swapped, source_language="en", target_language="zh") == (
        f"{tmp_path}/data.tsv holds zh on the source and en on the target side, but en to zh is wanted. "
        "Swapped columns? --swap"
    )
    assert make(swapped, source_language="en", target_language="zh", swap=True).source.language == "en"
    assert make(swapped).source.language == "zh"


def test_parts_in_opposite_directions(make: Callable[..., PreparedData], tmp_path: Path) -> None:
    files = [put(tmp_path, "a.tsv", made()), put(tmp_path, "b.tsv", [(t, s) for s, t in made()])]
    assert "b.tsv holds zh on the source and en on the target side" in fault(make, [], train=files)


def test_no_room_on_the_disk(make: Callable[..., PreparedData], monkeypatch: pytest.MonkeyPatch) -> None:
    full = shutil.disk_usage("/")._replace(free=10)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: full)
    with pytest.raises(ResourceError, match="0 MB are free"):
        make()


@pytest.mark.parametrize(
    "settings",
    [
        {"dev": -1},
        {"test": 1.5},
        {"target": ["a"]},
        {"script": "latin"},
        {"max_length": 0},
        {"colour": 1},
        {"dev": True},
    ],
)
def test_settings_are_strict(settings: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        DataConfig.model_validate(settings)


def test_every_setting_says_what_it_is() -> None:
    assert all(field.description for field in DataConfig.model_fields.values())


# Real files


@pytest.mark.slow
def test_the_seeds_file(make: Callable[..., PreparedData], shared_data: Path) -> None:
    data = make(train=[str(shared_data / "cmn-2018.txt")])
    report = data.report
    assert report.train + report.dev + report.test == 21_007 - 41
    assert report.dropped == {"duplicate": 41}
    assert report.leak is not None
    assert report.leak_random is not None
    assert report.leak.either == 0
    assert 0.09 < report.leak_random.either < 0.13
    assert report.target.script_mix is not None
    assert [round(100 * share, 1) for share in report.target.script_mix.values()] == [48.7, 42.1, 6.9, 2.3]
    assert (data.source.tokenizer.vocab_size, data.target.tokenizer.kind) == (4000, "char")
    assert report.mended["invisible"] >= 5
    assert data.tests["test"].pairs == report.test
    assert max(map(len, data.tests["test"].references)) > 1
    # The file is sorted by length: a test set from either end would be biased.
    lengths = [len(s.split()) for s in data.tests["test"].sources]
    assert 5.7 < float(np.mean(lengths)) < 6.7


@pytest.mark.slow
def test_a_header_and_three_columns(make: Callable[..., PreparedData], shared_data: Path, tmp_path: Path) -> None:
    with (shared_data / "deu.txt").open(encoding="utf-8", newline="") as file:
        head = "".join(islice(file, 3000))
    (tmp_path / "deu.txt").write_bytes(head.encode())
    data = make(train=[str(tmp_path / "deu.txt")])
    assert (data.source.language, data.target.language) == ("en", "de")
    assert any("line 1 is a header" in note for note in data.report.notes)
    assert data.report.parts[0].read == 2999


def test_the_notebooks_hundred_lines(make: Callable[..., PreparedData], shared_data: Path, tmp_path: Path) -> None:
    lines = (shared_data / "cmn-2018.txt").read_text(encoding="utf-8").split("\n")[:100]
    (tmp_path / "first100.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    data = make(
        train=[str(tmp_path / "first100.tsv")],
        source_tokenizer="word",
        target_tokenizer="char",
        script="keep",
        dev=0,
        test=0,
    )
    assert len(data.train) == 100
    assert data.source.tokenizer.tokens[4:12] == tuple(PLACEHOLDERS)
    assert data.source.tokenizer.tokens[12:14] == (".", "!")


@pytest.mark.parametrize("tokenizer", ["word", "char", "sentencepiece"])
def test_what_must_be_kept_is_hidden_on_both_sides(
    make: Callable[..., PreparedData], tmp_path: Path, tokenizer: str
) -> None:
    lines = [f"I have {n} books and {n + 1} cats.\t我有{n}本书和{n + 1}只猫。" for n in range(10, 30)]
    lines += ["I have two books.\t我有2本书。", "See {name} at 12:30!\t12:30见{name}！"]
    (tmp_path / "pairs.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    kinds: dict[str, Any] = {"source_tokenizer": tokenizer, "target_tokenizer": tokenizer, "dev": 0, "test": 0}
    data = make(train=[str(tmp_path / "pairs.tsv")], **kinds)
    assert data.placeholders
    source, target = (
        [tokenizer.decode(side[i].tolist()) for i in range(len(side))]
        for tokenizer, side in (
            (data.source.tokenizer, data.train.source),
            (data.target.tokenizer, data.train.target),
        )
    )
    hidden = [[c for c in text if c in PLACEHOLDERS] for text in source]
    assert [sorted(c for c in text if c in PLACEHOLDERS) for text in target] == list(map(sorted, hidden))
    assert [len(each) for each in hidden] == [2] * 20 + [0, 2]
    assert not any(c.isdigit() for text in source[:20] for c in text)
    assert {c for each in hidden for c in each} == set(PLACEHOLDERS)
    assert "2" in target[20]


def test_placeholders_can_be_left_out_and_are_where_links_are_known(make: Callable[..., PreparedData]) -> None:
    plain = make(train=["small-world"], small_world_pairs=60, dev=0, test=0)
    assert not plain.placeholders
    assert not set(PLACEHOLDERS) & set(plain.target.tokenizer.tokens)


def test_held_out_text_groups_references() -> None:
    held = HeldOut.from_pairs("x", [("a", "1"), ("b", "2"), ("a", "3")])
    assert (held.sources, held.references, held.pairs) == (["a", "b"], [["1", "3"], ["2"]], 3)


# Damage


def state(data: PreparedData) -> tuple[object, ...]:
    sides = [side.tokens.tolist() for side in (data.train.source, data.train.target)]
    return data.source.language, data.source.cleaner, data.target.cleaner, sides, data.dev, data.tests, texts(data)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[DataConfig, Path, tuple[object, ...]]:
    """Settings, the folder that was prepared with them, and what is in it."""
    folder = tmp_path_factory.mktemp("whole")
    config = DataConfig(train=[put(folder, "data.tsv", made(40))], dev=4, test=4, source_tokenizer="word")
    return config, folder / "prepared", state(prepare(config, folder / "prepared", seed=1))


@pytest.mark.slow
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(number=st.integers(0, 10**6), place=st.integers(0, 10**6), bit=st.integers(0, 7))
def test_one_flipped_bit_is_mended_or_refused(
    tmp_path: Path, whole: tuple[DataConfig, Path, tuple[object, ...]], number: int, place: int, bit: int
) -> None:
    config, original, right = whole
    folder = tmp_path / "prepared"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(original, folder)
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    path = files[number % len(files)]
    content = bytearray(path.read_bytes())
    content[place % len(content)] ^= 1 << bit
    path.write_bytes(content)

    def outcome(act: Callable[[], PreparedData]) -> object:
        try:
            return state(act())
        except (DataError, ModelError) as error:
            return error.exit_status

    assert outcome(lambda: PreparedData.load(folder)) in (right, 3, 4)
    assert outcome(lambda: prepare(config, folder, seed=1)) in ((3,) if path.name == "prepared.json" else (right,))


@pytest.mark.slow
@pytest.mark.parametrize("names", [["report.json"], ["test.tsv", "train/source.offsets", "target.tokenizer"]])
def test_a_missing_file_is_made_again_and_said(make: Callable[..., PreparedData], names: list[str]) -> None:
    first = make()
    for name in names:
        (first.folder / name).unlink()
    again = make()
    assert state(again) == state(first)
    assert any(note.startswith("prepared again: ") for note in again.report.notes)


def test_without_its_report_prepared_data_can_be_opened(make: Callable[..., PreparedData]) -> None:
    folder = make().folder
    (folder / "report.json").unlink()
    assert len(PreparedData.load(folder).train) > 0


def test_what_cannot_be_made_the_same_again_is_refused(
    make: Callable[..., PreparedData], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make().folder
    (folder / "dev.tsv").unlink()
    learn = pipeline.train_tokenizer
    monkeypatch.setattr(pipeline, "train_tokenizer", lambda _, *rest, **more: learn("word", *rest, **more))
    with pytest.raises(DataError, match=r"dev\.tsv is missing.* Preparing it again does not give the same data\."):
        make()
    assert not (folder / "dev.tsv").exists()


def test_data_prepared_before_the_small_world_had_a_version_is_still_opened(tmp_path: Path) -> None:
    # As the code of that time named this preparation, by a hash of the grammar's source.
    fingerprint = "9c63ac60fce229b86fc1bb9f184a0322fbb32fa4aff3dea7fb82283e477bf7cb"
    (tmp_path / "prepared.json").write_text(json.dumps({"format": 2, "fingerprint": fingerprint}), encoding="utf-8")
    config = DataConfig(train=["small-world"], small_world_pairs=300)
    assert is_prepared(config, tmp_path, seed=1)
    assert not is_prepared(config, tmp_path, seed=2)
