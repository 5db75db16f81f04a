"""Text in, text out: nothing lost, nothing mixed up, whatever the text; and looking changes nothing."""

import dataclasses
import shutil
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from attentio.errors import CancelledSearch, UsageError
from attentio.model.families import build_model
from attentio.model.seq2seq import Seq2Seq
from attentio.model.settings import AttentionConfig, TransformerConfig
from attentio.search.batched import SearchConfig, search_batches
from attentio.search.forced import forced_batches
from attentio.search.strategy import Sample
from attentio.text.learn import train_tokenizer
from attentio.text.placeholders import PLACEHOLDERS
from attentio.text.tokenizer import Tokenizer
from attentio.translator import Progress, Translation, Translator, spans_of

SENTENCES = [
    "I love you.",
    "",
    "My sister bought two books yesterday.",
    "Where is the station?",
    "   ",
    "He is taller than his father.",
    "I love you.",
]


@pytest.fixture(scope="module")
def translator(tiny_run: Path) -> Translator:
    return Translator.load(tiny_run, device="cpu")


@pytest.fixture(scope="module")
def tiny_transformer(translator: Translator) -> Translator:
    """A model with self-attention that has learned nothing, with the texts and tokens of the other."""
    torch.manual_seed(2)
    bundle = translator.bundle
    config = TransformerConfig(hidden_size=16, feed_forward_size=16, encoder_layers=2, decoder_layers=2)
    parts = bundle.architecture.model_copy(update={"model": config, "attention": AttentionConfig(num_heads=2)})
    model = build_model(config, parts.attention, bundle.source.tokenizer.vocab_size, bundle.target.tokenizer.vocab_size)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(1.5)
    weights = model.unique_state_dict()
    return Translator(dataclasses.replace(bundle, architecture=parts, weights=weights, metadata={}), device="cpu")


def test_it_says_how_many_parameters_were_trained(translator: Translator) -> None:
    """Opened, a convolutional model has fewer: its normalised weights are computed once."""
    bundle = translator.bundle
    sizes = bundle.source.tokenizer.vocab_size, bundle.target.tokenizer.vocab_size
    fresh = build_model(bundle.architecture.model, bundle.architecture.attention, *sizes)
    assert bundle.num_parameters == fresh.num_parameters() > translator.model.num_parameters()


def test_case_is_not_read_but_shown(translator: Translator) -> None:
    written, lower = translator("My Sister Bought TWO Books."), translator("my sister bought two books.")
    assert (written.text, written.score) == (lower.text, lower.score)
    assert written.source == "My Sister Bought TWO Books."
    trace = written.trace
    assert trace is not None
    assert lower.trace is not None
    assert trace.source_tokens == lower.trace.source_tokens
    assert "TWO" in {trace.source[start:end] for start, end in trace.source_spans}


@pytest.mark.parametrize("beam", [1, 3])
def test_with_and_without_traces_the_same(translator: Translator, beam: int) -> None:
    config = SearchConfig(beam)
    plain = translator.translate(SENTENCES, config)
    traced = translator.translate(SENTENCES, config, trace=True)
    for first, second in zip(plain, traced, strict=True):
        assert dataclasses.replace(second, trace=None) == first
        assert (second.trace is None) == (first.source == "")


@pytest.mark.slow
@pytest.mark.parametrize("beam", [1, 3])
def test_company_changes_no_answer_in_bf16_either(tiny_run: Path, beam: int) -> None:
    translator = Translator.load(tiny_run, device="cpu", precision="bf16")
    assert {parameter.dtype for parameter in translator.model.parameters()} == {torch.bfloat16}
    together = translator.translate(SENTENCES, SearchConfig(beam), trace=True)
    for text, translation in zip(SENTENCES, together, strict=True):
        (alone,) = translator.translate([text], SearchConfig(beam))
        assert alone.text == translation.text


@pytest.mark.slow
@pytest.mark.parametrize("beam", [1, 3])
def test_company_changes_no_answer(translator: Translator, beam: int) -> None:
    for max_tokens in (1, 40, 4096):
        together = translator.translate(SENTENCES, SearchConfig(beam, 1.0, max_tokens), trace=True)
        for text, translation in zip(SENTENCES, together, strict=True):
            (alone,) = translator.translate([text], SearchConfig(beam), trace=True)
            assert [text for text, _ in translation.nbest] == [text for text, _ in alone.nbest]
            assert translation.score == pytest.approx(alone.score, abs=1e-4)
            if translation.trace is not None:
                assert alone.trace is not None
                np.testing.assert_allclose(translation.trace.matrix(), alone.trace.matrix(), atol=1e-4)


@pytest.mark.parametrize("beam", [1, 3])
def test_a_trace_is_of_the_translation_it_is_with(translator: Translator, beam: int) -> None:
    for translation in translator.translate(SENTENCES, SearchConfig(beam, 0.0), trace=True):
        if (trace := translation.trace) is None:
            continue
        assert (trace.source, trace.target) == (translation.source, translation.text)
        assert trace.token_log_probs.sum() == pytest.approx(translation.score, abs=1e-3)
        assert trace.source_tokens[-1] == "</s>"
        np.testing.assert_allclose(trace.matrix().sum(-1), 1, atol=1e-5)
        shown = "".join(trace.source[start:end] for start, end in trace.source_spans)
        assert shown.replace(" ", "") == trace.source.replace(" ", "")


def test_the_score_is_the_log_probability_by_length(translator: Translator) -> None:
    plain, mean, steep = (translator("I love you.", length_penalty=penalty) for penalty in (0.0, 1.0, 2.0))
    assert plain.trace is not None
    length = len(plain.trace.target_tokens)
    assert plain.score == pytest.approx(length * mean.score)
    assert mean.score == pytest.approx(length * steep.score)


def test_the_best_come_first(translator: Translator) -> None:
    translation = translator("Where is the station?", beam_size=4)
    assert len(translation.nbest) == 4
    assert translation.nbest[0] == (translation.text, translation.score)
    scores = [score for _, score in translation.nbest]
    assert scores == sorted(scores, reverse=True)


any_text = st.text(st.characters(codec="utf-8"), max_size=30)
odd_text = st.text(
    st.sampled_from("a I.?龘猫\t\n\r\v\f\x1c\x85\u2028\u2029\u00a0\u3000\u200b\ufeff\U0001f600"), max_size=30
)


@pytest.mark.slow
@given(st.lists(any_text | odd_text, max_size=4))
@settings(max_examples=30, suppress_health_check=[HealthCheck.too_slow])
def test_one_line_in_one_line_out(translator: Translator, texts: list[str]) -> None:
    found = translator.translate(texts, trace=True)
    assert len(found) == len(texts)
    for text, translation in zip(texts, found, strict=True):
        lines = text.count("\n") if translation.leaves() else 0  # a text without content gives nothing
        assert len(translation.text.splitlines()) <= lines + 1
        assert translation.text.count("\n") == lines
        assert translation.leaves() or translation.text == ""
    for text, translation in zip(texts, translator.translate(texts, split=False), strict=True):
        assert len((translation.text + translation.source).splitlines()) <= 1, text


def test_sentences_of_a_text_are_translated_one_by_one(translator: Translator) -> None:
    first, second, third = translator.translate(["I love you.", "Where is the station?", "He is here."])
    (found,) = translator.translate(["  I love you. Where is the station?\n\n\tHe is here. "], trace=True)
    assert found.text == f"  {first.text}{second.text}\n\n\t{third.text} "
    assert [part.text for part in found.parts] == [first.text, second.text, third.text]
    assert all(part.trace is not None for part in found.leaves())
    assert found.trace is None
    assert found.score == pytest.approx((first.score + second.score + third.score) / 3)
    (whole,) = translator.translate(["I love you. Where is the station?"], split=False, trace=True)
    assert whole.trace is not None
    assert whole.source == "I love you. Where is the station?"


@pytest.mark.parametrize("texts", ["I love you.", [["I love you."]], [3], [None]])
def test_what_is_no_list_of_texts_is_said(translator: Translator, texts: Any) -> None:
    with pytest.raises(TypeError, match=r"takes a list of texts, not .*: use translate\(\[text\]\)"):
        translator.translate(texts)


def test_nothing_to_translate(translator: Translator) -> None:
    assert translator.translate([]) == []
    for translation in translator.translate(["", " \t ", "\u3000"]):
        assert (translation.source, translation.text, translation.trace) == ("", "", None)
        assert translation.nbest == (("", 0.0),)


def test_unseen_characters_and_words_are_reported(translator: Translator) -> None:
    assert translator("I like 龘 and 鱻.").unseen == ("龘", "鱻")
    assert translator("I love you and xylophones 3 times.").unseen == ("love", "xylophones", "times")
    assert translator("I like you.").unseen == ()


def with_longest(translator: Translator, length: int) -> Translator:
    return Translator(dataclasses.replace(translator.bundle, longest_source=length), device="cpu")


def test_long_text_is_cut_at_sentence_ends_and_nothing_is_lost(
    translator: Translator, monkeypatch: pytest.MonkeyPatch
) -> None:
    short = with_longest(translator, 12)
    read: list[str] = []

    def watched(model: Seq2Seq, sources: list[list[int]], *options: Any) -> object:
        read.extend(short.bundle.source.tokenizer.decode(source) for source in sources)
        return search_batches(model, sources, *options)

    monkeypatch.setattr("attentio.translator.search_batches", watched)
    endless = "word" * 40
    text = f"I love you. Where is the station? {endless} He is taller! 你好。再见。"
    translation = short(text)
    assert short.is_long(text)
    assert translation.cut
    assert not any(short.is_long(part) for part in read)
    assert "".join(read).replace(" ", "") == translation.source.replace(" ", "").lower()
    assert read[:2] == ["i love you.", "where is the station?"]
    assert translation.trace is None
    assert len(translation.nbest) == 1
    assert translation.text


def test_parts_are_translated_as_they_would_be_alone(translator: Translator) -> None:
    first, second = "I love you.", "Where is the station?"
    longest = max(len(translator.bundle.source.tokenizer.encode(text)) for text in (first, second))
    short = with_longest(translator, longest)
    assert short(f"{first} {second}").text == short(first).text + short(second).text


def test_run_folder_and_model_folder_are_the_same_translator(
    translator: Translator, tiny_run: Path, tmp_path: Path
) -> None:
    shutil.copytree(tiny_run / "model", tmp_path / "elsewhere")
    wanted = translator("I love you.")
    for place in (tiny_run / "model", tmp_path / "elsewhere", str(tmp_path / "elsewhere")):
        other = Translator.load(place, device="cpu")
        assert dataclasses.replace(other("I love you."), trace=None) == dataclasses.replace(wanted, trace=None)
        assert (other.source_language, other.target_language) == ("en", "zh")


def test_given_targets_are_aligned(translator: Translator) -> None:
    sources, targets = ["I love you.", "Where is the station?", "Yes."], ["我爱你。", "车站在哪里？", "是。"]
    traces = translator.align(sources, targets)
    for source, target, trace in zip(sources, targets, traces, strict=True):
        assert (trace.source, trace.target) == (source, target)
        assert trace.target_tokens == (*target, "</s>")
        np.testing.assert_allclose(trace.matrix().sum(-1), 1, atol=1e-5)
        assert (trace.token_log_probs <= 0).all()
    (again,) = translator.align(sources[:1], targets[:1])
    np.testing.assert_allclose(again.matrix(), traces[0].matrix(), atol=1e-5)


def test_unknown_characters_of_a_given_target_keep_their_places(translator: Translator) -> None:
    """Decoded they would be another text, and all that follows them would stand nowhere."""
    (trace,) = translator.align(["I love you."], ["我龘爱你。"])
    assert translator.bundle.target.tokenizer.unseen(trace.target) == ["龘"]
    assert [trace.target[start:end] for start, end in trace.target_spans] == [*"我龘爱你。", ""]


def test_aligning_its_own_translation_gives_its_own_trace(translator: Translator) -> None:
    translation = translator("My sister bought two books yesterday.")
    (trace,) = translator.align([translation.source], [translation.text])
    assert translation.trace is not None
    if translation.trace.target_tokens == trace.target_tokens:  # not where it was cut off at its limit
        np.testing.assert_allclose(trace.matrix(), translation.trace.matrix(), atol=1e-5)


CALLS = [(beam, trace, text) for text in SENTENCES for beam, trace in ((1, False), (1, True), (3, False), (3, True))]


@pytest.mark.slow
@pytest.mark.parametrize("family", ["cnn", pytest.param("transformer", marks=pytest.mark.slow)])
def test_threads_do_not_disturb_each_other(translator: Translator, tiny_transformer: Translator, family: str) -> None:
    """Eight threads, fifty calls each, in an order of their own: greedy and beam, with and without traces."""
    shared = translator if family == "cnn" else tiny_transformer

    def answer(call: tuple[int, bool, str]) -> Translation:
        beam, trace, text = call
        config = SearchConfig(beam, max_length=5)
        return shared.translate([text, "He is taller than his father."], config, trace=trace)[0]

    wanted = {call: answer(call) for call in CALLS}

    def work(number: int) -> int:
        order = [CALLS[(number * 7 + place * 3) % len(CALLS)] for place in range(50)]
        for call in order:
            found = answer(call)
            assert same_translation(found, wanted[call]), call
        return len(order)

    with ThreadPoolExecutor(8) as threads:
        assert sum(threads.map(work, range(8))) == 400


def same_translation(found: Translation, wanted: Translation) -> bool:
    """Text, score, n-best and every number of the trace."""
    plain = dataclasses.replace(found, trace=None) == dataclasses.replace(wanted, trace=None)
    if found.trace is None or wanted.trace is None:
        return plain and found.trace is wanted.trace
    arrays = [
        {**trace.weights, **trace.encoder_self, **trace.decoder_self, "log_probs": trace.token_log_probs}
        for trace in (found.trace, wanted.trace)
    ]
    same = all(np.array_equal(arrays[0][name], arrays[1][name]) for name in arrays[1])
    return plain and arrays[0].keys() == arrays[1].keys() and same


@pytest.mark.slow
def test_traces_come_back_from_workers(tiny_transformer: Translator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("attentio.search.batched.SENTENCES_A_WORKER", 2)
    texts = [text for text in SENTENCES if text.strip()]
    alone = tiny_transformer.translate(texts, SearchConfig(2), trace=True)
    shared = tiny_transformer.translate(texts, SearchConfig(2, workers=2), trace=True)
    for one, other in zip(alone, shared, strict=True):
        assert other.text == one.text
        assert one.trace is not None
        assert other.trace is not None
        np.testing.assert_allclose(other.trace.matrix(), one.trace.matrix(), atol=1e-4)
        assert list(other.trace.encoder_self) == ["encoder self 1", "encoder self 2"]


def test_a_prefix_is_what_translations_begin_with(translator: Translator) -> None:
    for beam in (1, 3):
        for found in translator.translate(["I love you.", "Yes."], SearchConfig(beam), prefix="他在"):
            assert found.text.startswith("他在")
        first, second = translator.translate(["I love you.", "Yes."], SearchConfig(beam), prefix=["", "我"])
        assert second.text.startswith("我")
        assert first.text == translator.translate(["I love you."], SearchConfig(beam))[0].text


def test_required_and_forbidden_phrases(translator: Translator) -> None:
    (plain,) = translator.translate(["Where is the station?"], SearchConfig(4))
    unwanted = plain.text[0]
    (other,) = translator.translate(
        ["Where is the station?"], SearchConfig(4), forbid=[unwanted], require=["哪里", "他"]
    )
    assert unwanted not in other.text
    assert "哪里" in other.text
    assert "他" in other.text
    assert other.score <= plain.score + 1e-6 or len(other.text) > len(plain.text)


def longest_run(text: str) -> int:
    return max((len(list(same)) for _, same in groupby(text)), default=0)


@pytest.mark.slow
@pytest.mark.parametrize("beam", [1, 3])
def test_loops_are_stopped_unless_they_are_asked_for(tiny_transformer: Translator, beam: int) -> None:
    """A model that has learned nothing writes one character again and again."""
    loose, tight = (
        tiny_transformer.translate(["I love you.", "Yes."], SearchConfig(beam, stop_loops=stop))
        for stop in (False, True)
    )
    assert max(longest_run(found.text) for found in loose) > 3
    assert max(longest_run(found.text) for found in tight) == 3
    (required,) = tiny_transformer.translate(["Yes."], SearchConfig(5), require=["我我我我我"])
    assert "我我我我我" in required.text


@pytest.mark.slow
def test_other_settings_of_a_search_act(translator: Translator) -> None:
    texts = ["My sister bought two books yesterday."] * 2
    short, same = translator.translate(texts, SearchConfig(max_length=3), trace=True)
    assert short.text == same.text
    assert short.trace is not None
    assert len(short.trace.target_tokens) == 3
    (distinct,) = translator.translate(texts[:1], SearchConfig(no_repeat=1, max_length=20))
    assert len(set(distinct.text)) == len(distinct.text)
    drawn = {
        seed: translator.translate(texts[:1], SearchConfig(sample=Sample(temperature=1.5, seed=seed)))[0]
        for seed in (1, 2, 1)
    }
    assert drawn[1].text != drawn[2].text
    assert translator.translate(texts, SearchConfig(sample=Sample(temperature=1.5, seed=1)))[0].text == drawn[1].text


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"prefix": "龘"}, "cannot write '龘': its vocabulary has no '龘'"),
        ({"require": ["龘"]}, "cannot write '龘'"),
        ({"forbid": ["龘"]}, "cannot write '龘'"),
        ({"prefix": ["我"]}, "1 prefixes for 2 texts"),
        ({"require": ["我"], "config": SearchConfig()}, "need a beam"),
        ({"require": ["我", "你", "他"], "config": SearchConfig(3, max_length=2)}, "take at least 3 more tokens"),
        ({"require": ["我你"], "forbid": ["你"]}, "none of the forbidden ones"),
        ({"prefix": "我你", "forbid": ["你"]}, "the prefix holds a phrase"),
    ],
    ids=str,
)
def test_what_cannot_be_asked_is_said(translator: Translator, options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        translator.translate(["I love you.", "Yes."], **({"config": SearchConfig(4)} | options))


@pytest.mark.parametrize("beam", [1, 3])
def test_a_callback_sees_texts_grow(translator: Translator, beam: int) -> None:
    seen: dict[int, list[Progress]] = {}
    texts = ["I love you.", "", "Where is the station?"]
    found = translator.translate(
        texts, SearchConfig(beam), on_step=lambda progress: seen.setdefault(progress.index, []).append(progress)
    )
    assert seen.keys() == {0, 2}
    for index, steps in seen.items():
        assert [step.finished for step in steps] == [False] * (len(steps) - 1) + [True]
        assert steps[-1].text == found[index].text
        for step in steps:
            assert len(step.candidates) == 5
            assert all(0 <= p <= 1 for _, p in step.candidates)


def test_a_translation_can_be_cancelled(translator: Translator) -> None:
    asked: list[int] = []

    def cancelled() -> bool:
        asked.append(1)
        return len(asked) > 2

    with pytest.raises(CancelledSearch):
        translator.translate(["Where is the station?"], cancelled=cancelled)
    assert len(asked) == 3


LINES = ["I love my two little cats.", "We don't go there, do we?", "Grüße, señor!", "你好，世界。", "a-b c 3.5"]


@pytest.fixture(scope="module")
def tokenizers() -> dict[str, Tokenizer]:
    small = LINES * 20
    return {
        "word": train_tokenizer("word", small),
        "char": train_tokenizer("char", small),
        "sentencepiece": train_tokenizer("sentencepiece", small, 300),
    }


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["word", "char", "sentencepiece"])
@given(data=st.data())
@settings(max_examples=40)
def test_spans_of_any_tokens_march_through_the_text(
    tokenizers: dict[str, Tokenizer], kind: str, data: st.DataObject
) -> None:
    """Laws for whatever a model says: in order, side by side, inside the text, and all that is seen is covered."""
    tokenizer = tokenizers[kind]
    tokens = [*data.draw(st.lists(st.integers(3, tokenizer.vocab_size - 1), max_size=12)), 2]
    text = tokenizer.decode(tokens)
    spans = spans_of(tokenizer, tokens, text)
    assert len(spans) == len(tokens)
    end = 0
    for start, stop in spans:
        assert end <= start <= stop <= len(text)
        assert not text[end:start].strip()
        end = stop
    assert not text[end:].strip() or kind == "sentencepiece"
    assert spans[-1][0] == spans[-1][1]


@pytest.mark.parametrize("kind", ["word", "char", "sentencepiece"])
def test_spans_of_known_text_show_its_tokens(tokenizers: dict[str, Tokenizer], kind: str) -> None:
    tokenizer = tokenizers[kind]
    for line in LINES:
        tokens = tokenizer.encode(line)
        text = tokenizer.decode(tokens)
        for token, (start, end) in zip(tokens, spans_of(tokenizer, tokens, text), strict=True):
            piece = tokenizer.tokens[token]
            if not piece.startswith("<0x"):
                assert text[start:end] == piece.replace("▁", " ").strip()


def test_parts_of_a_long_text_have_traces(translator: Translator) -> None:
    text = "I love you. Where is the station? He is taller than his father."
    translation = with_longest(translator, 12)(text)
    assert translation.trace is None
    assert " ".join(part.source for part in translation.parts) == translation.source
    for part in translation.parts:
        assert part.trace is not None
        assert part.trace.source == part.source


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["word", "char", "sentencepiece"])
@pytest.mark.parametrize("beam", [1, 3])
def test_what_must_be_kept_is_kept(tiny_transformer: Translator, kind: str, beam: int) -> None:
    """A model that has learned nothing loses all. Searched again, it keeps all."""
    lines = ["See you at the station!", "Where is my book, and who has read it?"] * 3
    bundle = tiny_transformer.bundle
    sides = [dataclasses.replace(side, tokenizer=train_tokenizer(kind, lines, placeholders=True), language="en")
             for side in (bundle.source, bundle.target)]  # fmt: skip
    parts = bundle.architecture
    torch.manual_seed(4)
    model = build_model(parts.model, parts.attention, *(side.tokenizer.vocab_size for side in sides))
    weights = model.unique_state_dict()
    bundle = dataclasses.replace(bundle, source=sides[0], target=sides[1], weights=weights, metadata={})
    hiding = Translator(dataclasses.replace(bundle, placeholders=True, longest_source=200), device="cpu")
    sources = ["See {name} at 12:30!", "Who has read https://a.org/b?", "Where is my book?", "5 and 5"]
    kept = [("{name}", "12:30"), ("https://a.org/b",), (), ("5", "5")]
    for source, wanted, found in zip(
        sources, kept, hiding.translate(sources, SearchConfig(beam), trace=True), strict=True
    ):
        assert found.source == source
        assert found.lost == ()
        assert all(found.text.count(each) == wanted.count(each) for each in wanted), found.text
        trace = found.trace
        assert trace is not None
        assert (trace.source, trace.target) == (source, found.text)
        assert all(each in labels for each in wanted for labels in trace.labels())
        for text, spans in ((source, trace.source_spans), (found.text, trace.target_spans)):
            shown = [text[a:b] for a, b in spans]
            assert "".join("".join(shown).split()) == "".join(text.split())
            assert all(each in shown for each in wanted)
    (short,) = hiding.translate(sources[:1], SearchConfig(beam, max_length=1))
    assert set(short.lost) & {"{name}", "12:30"}
    (trace,) = hiding.align(["See {name}!"], ["{name} you see"])
    assert (trace.source, trace.target) == ("See {name}!", "{name} you see")
    assert "{name}" in [trace.target[a:b] for a, b in trace.target_spans]
    unhidden = Translator(dataclasses.replace(bundle, longest_source=200), device="cpu")
    plain = unhidden.translate(sources[2:3], SearchConfig(beam))
    (hidden,) = hiding.translate(sources[2:3], SearchConfig(beam))  # a placeholder for nothing is left out
    assert hidden.text.split() == plain[0].text.translate(dict.fromkeys(map(ord, PLACEHOLDERS))).split()


def test_a_model_without_placeholders_leaves_their_characters_alone(translator: Translator) -> None:
    (found,) = translator.translate(["I \ue000 you."], trace=True)
    assert found.source == "I \ue000 you."
    assert found.unseen == ("\ue000",)


class TestWhatIf:
    """Other hypotheses, forced beginnings, masked tokens."""

    def test_every_hypothesis_has_its_trace(self, tiny_transformer: Translator) -> None:
        config = SearchConfig(3)
        (plain,) = tiny_transformer.translate(["I love you."], config, trace=True)
        found = tiny_transformer.hypotheses("I love you.", config)
        assert [(one.text, one.score) for one in found] == list(plain.nbest)
        for one in found:
            assert one.trace is not None
            assert (one.trace.target, one.trace.score) == (one.text, one.score)
        assert plain.trace is not None
        assert found[0].trace is not None
        assert found[0].trace.candidates == plain.trace.candidates
        np.testing.assert_array_equal(found[0].trace.matrix(), plain.trace.matrix())

    def test_a_candidate_is_forced(self, translator: Translator) -> None:
        plain = translator("I love you.").trace
        assert plain is not None
        other = next(token for token, _ in plain.candidates[1] if token not in (plain.target_tokens[1], "</s>"))
        prefix = [plain.target_tokens[0], other]
        (forced,) = translator.hypotheses("I love you.", prefix=prefix)
        assert forced.trace is not None
        assert list(forced.trace.target_tokens[:2]) == prefix
        assert forced.trace.candidates[:2] == plain.candidates[:2]
        probability = dict(plain.candidates[1])[other]
        assert forced.trace.token_log_probs[1] == pytest.approx(np.log(probability), abs=1e-4)

    def test_a_masked_token_is_unknown(self, translator: Translator) -> None:
        (masked,) = translator.hypotheses("I love you.", masked=[1])
        plain = translator("I love you.").trace
        assert masked.trace is not None
        assert plain is not None
        assert masked.trace.source_tokens == plain.source_tokens
        (unmasked,) = translator.hypotheses("I love you.")
        assert unmasked.trace is not None
        assert np.array_equal(unmasked.trace.matrix(), plain.matrix())
        assert not np.array_equal(masked.trace.matrix()[0], plain.matrix()[0])

    @pytest.mark.parametrize(
        ("text", "asked", "words"),
        [
            (" ", {}, "there is no map"),
            ("Yes.", {"masked": [99]}, "counted from 0"),
            ("Yes.", {"prefix": ["no such token"]}, "has no token"),
        ],
    )
    def test_what_is_not_there_is_refused(
        self, translator: Translator, text: str, asked: dict[str, Any], words: str
    ) -> None:
        with pytest.raises(UsageError, match=words):
            translator.hypotheses(text, **asked)

    def test_erasure_is_the_fall_of_each_log_probability(self, translator: Translator) -> None:
        """By definition: the same target, forced, with and without the token."""
        trace = translator("My sister bought two books yesterday.").trace
        assert trace is not None
        fall = translator.erasure(trace)
        assert fall.shape == trace.matrix().shape
        assert not fall[:, -1].any()
        ids = translator.bundle.source.tokenizer.encode(trace.source)
        ids[2] = translator.bundle.source.tokenizer.special.unk
        target = [list(translator.bundle.target.tokenizer.tokens).index(token) for token in trace.target_tokens[:-1]]
        ((_, (hypothesis,)),) = forced_batches(translator.model, [ids], [target])
        np.testing.assert_allclose(fall[:, 2], trace.token_log_probs - hypothesis.log_probs, atol=1e-4)

    def test_erasure_of_what_one_token_decides(self, translator: Translator) -> None:
        """Only the second token of the source reaches this model's output: only its column moves."""

        class OfOneToken(torch.nn.Module):
            def __init__(self, inner: Seq2Seq) -> None:
                super().__init__()
                self.inner, self.decoder, self.arrays = inner, inner.decoder, inner.arrays

            def encode(self, source: torch.Tensor, lengths: torch.Tensor) -> Any:
                seen = source.clone()
                seen[:, 0] = seen[:, 2:] = 9
                return self.inner.encode(seen, lengths)

        only = Translator(translator.bundle, device="cpu")
        only.model = OfOneToken(only.model)  # type: ignore[assignment]
        trace = only("My sister bought two books yesterday.").trace
        assert trace is not None
        fall = only.erasure(trace)
        assert np.abs(fall[:, 1]).max() > 1e-3
        assert np.abs(np.delete(fall, 1, axis=1)).max() < 1e-5
