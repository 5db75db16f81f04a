"""The small world: what it covers, that it is deterministic, well-formed and sensible, and that its links are right."""

import hashlib
import json
import os
import re
import subprocess
import sys
from collections import Counter, defaultdict
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attentio.corpora.small_world import lexicon
from attentio.corpora.small_world.grammar import (
    PUNCTUATION,
    GrammarPair,
    Phrase,
    constructions,
    contract,
    parse_rule,
    repeats_itself,
    sample,
    version,
)
from attentio.errors import UsageError


def words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# English words that may have no Chinese counterpart of their own, in some construction at least.
UNLINKED_ENGLISH = words(
    "the a an to of is are am was were be do does did doesn't has have had it it's "
    "that's in on at for as past yet ever getting please that which cost costs and , "
    "just learn go goes this no not what you're i'm his her your my our their i he "
    "she you they"
)
# Chinese words that may answer to no English word: particles, prepositions, copulas and measure words.
UNLINKED_CHINESE = words(
    "很 在 把 的 给 一 了 点 有 ， 会 说话 次 请 封 我们 个 来 吗 是 这 遍 做 祝 你 等 不 东西 也 啊 得 天"
)

# Written from a dictionary, not from the lexicon: which measure words a noun takes.
MEASURES = {
    "书": "本",
    "杂志": "本",
    "词典": "本",
    "报纸": "份",
    "信": "封",
    "邮件": "封",
    "猫": "只",
    "狗": "只",
    "鱼": "条",
    "马": "匹",
    "裤子": "条",
    "裙子": "条",
    "衬衫": "件",
    "大衣": "件",
    "毛衣": "件",
    "鞋": "双",
    "桌子": "张",
    "床": "张",
    "票": "张",
    "照片": "张",
    "椅子": "把",
    "雨伞": "把",
    "钥匙": "把",
    "车": "辆",
    "自行车": "辆",
    "飞机": "架",
    "电影": "部",
    "歌": "首",
    "茶": "杯",
    "咖啡": "杯",
    "水": "杯",
    "啤酒": "瓶",
    "面条": "碗",
    "米饭": "碗",
    "花": "朵",
    "树": "棵",
    "河": "条",
    "山": "座",
    "苹果": "个",
    "学生": "个",
    "朋友": "个",
}


@pytest.fixture(scope="module")
def pairs() -> list[GrammarPair]:
    return sample(15_000, 1)


def english(pair: GrammarPair) -> list[str]:
    return [word.lower() for word in pair.source_words]


# Size and coverage


@pytest.mark.slow
def test_the_world_is_large_enough(pairs: list[GrammarPair]) -> None:
    assert len({word for pair in pairs for word in english(pair) if word not in PUNCTUATION}) >= 700
    assert len(constructions()) >= 60
    assert len(set(constructions())) == len(constructions())


@pytest.mark.slow
def test_every_construction_and_nearly_every_word_is_met_often(pairs: list[GrammarPair]) -> None:
    by_name = Counter(pair.construction for pair in pairs)
    assert set(by_name) == set(constructions())
    assert min(by_name.values()) >= 20
    words = Counter(word for pair in pairs for word in english(pair))
    often = [word for word, count in words.items() if count >= 8]
    assert len(often) >= 850
    text = " ".join(pair.source.lower() for pair in pairs)
    for nouns in lexicon.read_nouns().values():
        for noun in nouns:
            forms = {noun.singular, noun.plural} - {""}
            assert any(form.replace("_", " ").lower() in text for form in forms), noun


@pytest.mark.slow
def test_length(pairs: list[GrammarPair]) -> None:
    lengths = [sum(word not in PUNCTUATION for word in pair.source_words) for pair in pairs]
    assert 5.5 <= sum(lengths) / len(lengths) <= 8
    assert max(lengths) <= 18


@pytest.mark.slow
def test_sixty_thousand_distinct() -> None:
    assert len({pair.source for pair in sample(60_000, 3)}) == 60_000


@pytest.mark.slow
def test_everyday_sentences_are_inside(pairs: list[GrammarPair]) -> None:
    said = {pair.source: pair.target for pair in pairs}
    expected = {
        "What are you doing?": "你在做什么？",
        "What are you looking at?": "你在看什么？",
        "I love you.": "我爱你。",
        "I like cats.": "我喜欢猫。",
        "It's raining.": "在下雨。",
        "Where do you live?": "你住在哪儿？",
        "How old are you?": "你多大？",
        "What's your name?": "你叫什么名字？",
        "Where's the station?": "车站在哪儿？",
        "Please sit down.": "请坐下。",
        "Let's go home.": "我们回家吧。",
        "I'm tired.": "我很累。",
        "Thank you.": "谢谢你。",
        "Good morning!": "早上好！",
        "Are you ready?": "你准备好了吗？",
    }
    assert {source: said[source] for source in expected if source in said} == {
        source: target for source, target in expected.items() if source in said
    }
    assert sum(source in said for source in expected) >= 8


# Determinism


def digest(pairs: list[GrammarPair]) -> str:
    lines = (f"{p.source}\t{p.target}\t{sorted(p.links)}\t{p.construction}" for p in pairs)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


@pytest.mark.slow
def test_the_same_seed_gives_the_same_pairs_in_every_process() -> None:
    code = (
        "from attentio.corpora.small_world.grammar import sample; import hashlib;"
        "t = '\\n'.join(f'{p.source}\\t{p.target}\\t{sorted(p.links)}\\t{p.construction}' for p in sample(400, 7));"
        "print(hashlib.sha256(t.encode()).hexdigest())"
    )
    for hash_seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
        out = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
        assert out.stdout.strip() == digest(sample(400, 7))


# Version -> SHA-256 of the parsed content of rules and words, and of two samples. The engine has no version of its own:
# raise that of the rules when a change to the engine changes a sample.
FROZEN = {
    "1.1": (
        "d7cbb263a19b54681dc7066fc9d745be5efca7de9fe91ff44925d88caeca66c5",
        "03df3a9e02ebe15e7a7347cdc12f9ef89d96de7320304469974a9f1b6afbd53f",
        "7fc26dc394aedf5ef2e1c3b364e65cc102ea627053589f24795d95c6c59f5f18",
    )
}


def content_digest(files: dict[str, str]) -> str:
    parsed = {name: lexicon.read_sections(text)[1] for name, text in files.items()}
    return hashlib.sha256(json.dumps(parsed, sort_keys=True).encode()).hexdigest()


@pytest.fixture(scope="module")
def data_files() -> dict[str, str]:
    folder = Path(lexicon.__file__).parent
    return {name: (folder / name).read_text(encoding="utf-8") for name in ("rules.txt", "words.txt")}


@pytest.mark.slow
def test_a_version_has_one_content_and_one_sample(data_files: dict[str, str]) -> None:
    """Another content changes every trained model and every number: raise the version and add a line to FROZEN."""
    assert version() in FROZEN
    assert (content_digest(data_files), digest(sample(1000, 1)), digest(sample(3000, 7))) == FROZEN[version()]


def test_comments_change_nothing_and_words_do(data_files: dict[str, str]) -> None:
    same = {name: text.replace("\n\n", "\n\n# a remark\n\n") for name, text in data_files.items()}
    assert same != data_files
    assert content_digest(same) == content_digest(data_files)
    other = data_files | {"words.txt": data_files["words.txt"].replace("猫", "狮")}
    assert content_digest(other) != content_digest(data_files)


@pytest.mark.parametrize(("text", "complaint"), [("[a]\nb", "version = N"), ("version = 1\n[a]\n[a]", "twice")])
def test_a_damaged_data_file_is_refused(text: str, complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint):
        lexicon.read_sections(text)


def test_another_seed_gives_other_pairs() -> None:
    assert {p.source for p in sample(200, 1)} != {p.source for p in sample(200, 2)}


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(min_value=0, max_value=2**63), count=st.integers(min_value=0, max_value=60))
def test_any_seed_gives_well_formed_distinct_pairs(seed: int, count: int) -> None:
    found = sample(count, seed)
    assert len(found) == len({pair.source for pair in found}) == count
    for pair in found:
        check_form(pair)


def test_asking_for_less_than_nothing_is_refused() -> None:
    with pytest.raises(UsageError, match="cannot sample -1"):
        sample(-1, 1)


# Form


def check_form(pair: GrammarPair) -> None:
    assert pair.source[0].isupper()
    assert pair.source[-1] in ".?!"
    assert pair.target[-1] in "。？！"
    assert ".?!".index(pair.source[-1]) == "。？！".index(pair.target[-1])
    assert " " not in pair.target
    assert not re.search(r"[A-Za-z.,?!]", pair.target)
    assert pair.source.isascii()
    assert "  " not in pair.source
    for text, words, spans in (
        (pair.source, pair.source_words, pair.source_spans),
        (pair.target, pair.target_words, pair.target_spans),
    ):
        assert [text[a:b].lower() for a, b in spans] == [word.lower() for word in words]
        assert text.replace(" ", "") == "".join(text[a:b] for a, b in spans)
    for i, j in pair.links:
        assert 0 <= i < len(pair.source_words)
        assert 0 <= j < len(pair.target_words)


@pytest.mark.slow
def test_every_pair_is_well_formed(pairs: list[GrammarPair]) -> None:
    assert len({pair.source for pair in pairs}) == len(pairs)
    for pair in pairs:
        check_form(pair)


@pytest.mark.slow
def test_no_word_is_doubled(pairs: list[GrammarPair]) -> None:
    for pair in pairs:
        assert all(a != b for a, b in pairwise(english(pair))), pair.source
        assert all(a != b for a, b in pairwise(pair.target_words)), pair.target


# Links


@pytest.mark.slow
def test_every_content_word_is_linked(pairs: list[GrammarPair]) -> None:
    for pair in pairs:
        sources, targets = {i for i, _ in pair.links}, {j for _, j in pair.links}
        lonely = {word for i, word in enumerate(english(pair)) if i not in sources}
        assert lonely <= UNLINKED_ENGLISH, (pair.source, pair.target, lonely)
        alone = {word for j, word in enumerate(pair.target_words) if j not in targets}
        assert alone <= UNLINKED_CHINESE, (pair.source, pair.target, alone)


@pytest.mark.slow
def test_few_chinese_words_stand_alone(pairs: list[GrammarPair]) -> None:
    linked = sum(len({j for _, j in pair.links}) for pair in pairs)
    assert linked / sum(len(pair.target_words) for pair in pairs) > 0.97


@pytest.mark.slow
def test_punctuation_links_to_punctuation(pairs: list[GrammarPair]) -> None:
    particles = {"吗", "呢", "吧"}
    for pair in pairs:
        assert (len(pair.source_words) - 1, len(pair.target_words) - 1) in pair.links
        for i, j in pair.links:
            source, target = pair.source_words[i], pair.target_words[j]
            if source in PUNCTUATION:
                assert target in PUNCTUATION | particles
            if target in PUNCTUATION:
                assert source in PUNCTUATION


@pytest.mark.slow
def test_a_noun_is_always_linked_to_its_translation(pairs: list[GrammarPair]) -> None:
    """An oracle of our own: these words mean one thing only, and the link must find it wherever it stands."""
    meaning = {"cat": "猫", "teacher": "老师", "book": "书", "Monday": "星期一", "happy": "高兴", "because": "因为"}
    seen: Counter[str] = Counter()
    for pair in pairs:
        for i, word in enumerate(pair.source_words):
            if word in meaning:
                targets = {pair.target_words[j] for a, j in pair.links if a == i}
                assert meaning[word] in targets or targets == {"看"} or "Happy" in pair.source, (pair.source, targets)
                seen[word] += 1
    assert set(seen) == set(meaning)


@pytest.mark.slow
def test_links_worked_by_hand(pairs: list[GrammarPair]) -> None:
    by_hand = {
        "What are you doing?": {("what", "什么"), ("are", "在"), ("you", "你"), ("doing", "做"), ("?", "？")},
        "I'm tired.": {("i'm", "我"), ("i'm", "很"), ("tired", "累"), (".", "。")},
        "Where do you live?": {("where", "哪儿"), ("you", "你"), ("live", "住"), ("live", "在"), ("?", "？")},
        "Let's go home.": {("let's", "我们"), ("go", "回"), ("home", "家"), ("let's", "吧"), (".", "。")},
    }
    found = 0
    for pair in pairs:
        if pair.source in by_hand:
            words = {(pair.source_words[i].lower(), pair.target_words[j]) for i, j in pair.links}
            assert words == by_hand[pair.source], pair.source
            found += 1
    assert found >= 2


# Meaning


@pytest.mark.slow
def test_the_same_english_always_has_the_same_chinese(pairs: list[GrammarPair]) -> None:
    targets = defaultdict(set)
    for pair in [*pairs, *sample(6000, 2), *sample(6000, 3)]:
        targets[pair.source.lower()].add(pair.target)
    assert [source for source, found in targets.items() if len(found) > 1] == []


@pytest.mark.slow
def test_few_chinese_sentences_have_several_english_ones(pairs: list[GrammarPair]) -> None:
    sources = Counter(pair.target for pair in pairs)
    several = sum(count > 1 for count in sources.values())
    assert 0 < several / len(sources) < 0.05  # "I'm" and "I am", "mom" and "mother", "talk to" and "talk with"


@pytest.mark.slow
def test_agreement(pairs: list[GrammarPair]) -> None:
    wrong = re.compile(
        r"\b(he|she) (like|want|have|do|go|eat|drink|know|live|are|were|am)\b|"
        r"\b(they|we|you) (likes|wants|has|does|goes|reads|eats|drinks|knows|lives|is|was|am)\b|"
        r"\bi (likes|wants|has|does|is|are|were)\b|\ba [aeio]\w+|\ba (umbrella|uncle)|\ban [bcdfgjklmnpqrstvwxyz]\w+|"
        r"\b(two|three|four|five|six|seven|eight|nine|ten) (book|cat|child|man|knife|car|cup|year|hour)\b|"
        r"\b(a|an|this|that) (books|cats|children|men|knives|cars|pants|shoes|glasses|clothes)\b|"
        r"\b(these|those) (book|cat|child|man|knife|car)\b|"
        r"\b(do|does|did|will|can|must|should|don't|doesn't|didn't|can't|won't) (likes|wants|went|ate|bought)\b"
    )
    # after these words a subject and a base form may well follow: "does he like", "than you", "the book I want"
    inverted = re.compile(r"\b(does|did|do|will|can|should|would|could|than|and|let) (he|she|they|we|you|i)\b")
    for pair in pairs:
        text = inverted.sub("X", pair.source.lower())
        assert not wrong.search(text), pair.source


@pytest.mark.slow
def test_measure_words(pairs: list[GrammarPair]) -> None:
    counters = set("一两三四五六七八九十这那哪几") | {"十"}
    checked: Counter[str] = Counter()
    for pair in pairs:
        for before, measure, noun in zip(pair.target_words, pair.target_words[1:], pair.target_words[2:], strict=False):
            # 这些面条 has no measure word; 一本好书 has one, but not just before the noun
            if before in counters and noun in MEASURES and measure not in {"新", "旧", "大", "小", "好", "些", "的"}:
                assert measure == MEASURES[noun], pair.target
                checked[noun] += 1
    assert set(MEASURES) - set(checked) <= {"朋友", "飞机", "鱼"}  # said without a numeral as a rule


@pytest.mark.slow
def test_two_is_liang_before_a_measure_word(pairs: list[GrammarPair]) -> None:
    measures = {*MEASURES.values(), "岁", "点", "年", "天", "个"}
    for pair in pairs:
        for number, following in pairwise(pair.target_words):
            assert (number, following) != ("二", following) or following not in measures, pair.target
            assert (number, following) not in {("两", "号"), ("两", "十")}, pair.target
    counted = {pair for pair in pairs for a, b in pairwise(pair.target_words) if a == "两" and b in measures}
    assert len(counted) >= 50


@pytest.mark.slow
def test_chinese_shape(pairs: list[GrammarPair]) -> None:
    adjectives = {row[1] for row in lexicon.rows("adjectives")}
    for pair in pairs:
        words = pair.target_words
        for word, following in pairwise(words):
            assert not (word == "是" and following in adjectives and words[-2] != "的"), pair.target
            assert (word, following) not in {("不", "有"), ("没", "了"), ("了", "过"), ("把", "了")}, pair.target
        assert "没" not in words or "了" not in words[words.index("没") :], pair.target
        assert not re.search(r"[我你他她](们)?的(妈妈|爸爸|哥哥|姐姐|弟弟|妹妹|奶奶|爷爷)", pair.target), pair.target
        if {"把", "被"} & set(words):
            assert words[0] not in {"把", "被"}


@pytest.mark.slow
def test_what_is_eaten_drunk_read_and_driven_makes_sense(pairs: list[GrammarPair]) -> None:
    classes = lexicon.read_nouns()
    objects = {
        "吃": {"food", "meal", "fruit"},
        "喝": {"drink"},
        "穿": {"worn"},
        "戴": {"puton"},
        "喂": {"fed"},
    }
    every = {noun.chinese for nouns in classes.values() for noun in nouns}
    people = {noun.chinese for kind in ("person", "job", "kin", "mate") for noun in classes[kind]}
    for pair in pairs:
        for verb, kinds in objects.items():
            if verb not in pair.target_words:
                continue
            fit = {noun.chinese for kind in kinds for noun in classes[kind]}
            after = pair.target_words[pair.target_words.index(verb) + 1 :]
            first = next((word for word in after if word in every | PUNCTUATION), "。")
            assert first in fit | people | PUNCTUATION | {"家"} or "时候" in after or "以后" in after, pair.target


@pytest.mark.slow
def test_nobody_acts_on_himself_and_spouses_fit(pairs: list[GrammarPair]) -> None:
    wrong = re.compile(
        r"\bI \w+ me\b|\bwe \w+ us\b|\byou (love|help|like|know|call|miss|visit|hate) you[.?]|"
        r"\b(his|our|their) husband\b|\b(her|our|their) wife\b|\bher husband's wife\b",
        re.IGNORECASE,
    )
    for pair in pairs:
        assert not wrong.search(pair.source), pair.source


# The engine


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("<s> like.s <fond> .", "expected"),
        ("<s> like.s <fond> . = <s> 喜欢 。", "slot on one side only"),
        ("<s> like.s#1 <fond> . = <s> 喜欢 <fond> 。", "link tag on one side only"),
        ("<s> like.q <fond> . = <s> 喜欢 <fond> 。", "agrees with a missing slot"),
    ],
)
def test_a_rule_whose_sides_do_not_fit_is_refused(line: str, complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint):
        parse_rule(line)


def test_contractions_carry_their_links() -> None:
    phrase = Phrase(
        ("I", "am", "not", "tired", "."), ("我", "不", "累", "。"), frozenset({(0, 0), (2, 1), (3, 2), (4, 3)})
    )
    short = contract(phrase, formal=False)
    assert short.english == ("I'm", "not", "tired", ".")
    assert short.links == {(0, 0), (1, 1), (2, 2), (3, 3)}
    assert contract(phrase, formal=True) == phrase
    she = Phrase(("she", "is", "not", "tired"), (), frozenset())
    assert contract(she, formal=False).english == ("she", "isn't", "tired")
    answer = Phrase(("yes", ",", "she", "is", "."), (), frozenset())
    assert contract(answer, formal=False) == answer
    tag = Phrase(("is", "not", "it", "?"), (), frozenset())
    assert contract(tag, formal=True).english == ("isn't", "it", "?")


def test_repetition_is_noticed() -> None:
    def said(text: str) -> Phrase:
        return Phrase(tuple(text.split()), (), frozenset())

    assert repeats_itself(said("do you like dogs or dogs ?"))
    assert not repeats_itself(said("it is getting colder and colder ."))
    assert not repeats_itself(said("the cat is on the table ."))
    assert repeats_itself(Phrase((), ("告诉", "我", "我", "妈妈"), frozenset()))


@pytest.mark.parametrize(
    ("verb", "forms"),
    [
        ("study", ("studies", "studied", "studied", "studying")),
        ("play", ("plays", "played", "played", "playing")),
        ("write", ("writes", "wrote", "written", "writing")),
        ("swim", ("swims", "swam", "swum", "swimming")),
        ("watch", ("watches", "watched", "watched", "watching")),
        ("go", ("goes", "went", "gone", "going")),
        ("have", ("has", "had", "had", "having")),
        ("see", ("sees", "saw", "seen", "seeing")),
        ("stop", ("stops", "stopped", "stopped", "stopping")),
    ],
)
def test_verbs(verb: str, forms: tuple[str, ...]) -> None:
    assert tuple(lexicon.inflect(verb, form) for form in ("s", "past", "done", "ing")) == forms


def test_adjectives_nouns_and_articles() -> None:
    assert lexicon.compare("big", "er") == ("bigger",)
    assert lexicon.compare("happy", "est") == ("happiest",)
    assert lexicon.compare("nice", "er") == ("nicer",)
    assert lexicon.compare("good", "est") == ("best",)
    assert lexicon.compare("expensive", "er") == ("more", "expensive")
    assert [lexicon.plural(noun) for noun in ("city", "boy", "box", "bus", "watch")] == [
        "cities",
        "boys",
        "boxes",
        "buses",
        "watches",
    ]
    assert [lexicon.article(word) for word in ("apple", "university", "hour", "Englishman", "book", "useful")] == [
        "an",
        "a",
        "an",
        "an",
        "a",
        "a",
    ]
