"""CTranslate2 computes and searches as we do, for every setting that it can express. The others are refused by name."""

import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from attentio.bundle import Bundle
from attentio.corpora.small_world.grammar import sample
from attentio.engines import ENGINES, open_engine
from attentio.engines.ctranslate2 import CTranslate2, opened, refusals, translate, write_model
from attentio.errors import CancelledSearch, MissingExtra, ModelError, UsageError
from attentio.model.settings import TransformerConfig
from attentio.search.batched import Asked, SearchConfig, search
from attentio.search.constraint import AllOf, NoRepeat
from attentio.search.forced import forced_batches
from attentio.search.hypothesis import Hypothesis
from attentio.search.loops import NoLoops
from attentio.search.strategy import Sample
from attentio.translator import Translator

ctranslate2 = pytest.importorskip("ctranslate2")
Random = Callable[..., Bundle]
SENTENCES = [pair.source for pair in sample(12, seed=8)]

CASES: list[tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = [
    ({"hidden_size": 36, "encoder_layers": 1, "decoder_layers": 3, "feed_forward_size": 40}, {}, {}),
    (
        {"norm": "post", "activation": "relu", "positions": "learned", "max_positions": 9},
        {"num_heads": 2},
        {"num_heads": 2},
    ),
    ({"positions": "rotary", "activation": "swiglu", "tie_embeddings": False}, {"score": "dot"}, {}),
    ({"positions": "sinusoidal_halves", "activation": "silu", "embedding_norm": True}, {}, {"score": "dot"}),
    ({"positions": "sinusoidal_t2t", "first_position": 1, "scale_embeddings": False, "source_end": False}, {}, {}),
    ({"share_embeddings": True, "norm_epsilon": 1e-2, "dropout": 0.3, "word_dropout": 0.1}, {"dropout": 0.2}, {}),
]  # fmt: skip


def encoded(bundle: Bundle) -> list[list[int]]:
    return [bundle.source.tokenizer.encode(text) for text in SENTENCES]


@pytest.mark.slow
@pytest.mark.parametrize("number", range(len(CASES)))
def test_every_setting_gives_the_same_log_probabilities(
    random_transformer: Random, number: int, tmp_path: Path
) -> None:
    """A given target, token by token: no search is part of it."""
    bundle = random_transformer(*CASES[number], seed=number)
    write_model(bundle, tmp_path, precision="fp32")
    drawn = np.random.default_rng(number)
    targets = [drawn.integers(3, bundle.target.tokenizer.vocab_size, size).tolist() for size in range(1, 13)]
    sources = encoded(bundle)
    names = [bundle.source.tokenizer.tokens, bundle.target.tokenizer.tokens]
    tokens = [[[names[side][i] for i in ids] for ids in both] for side, both in enumerate((sources, targets))]
    scored = opened(tmp_path).score_batch(*tokens)
    for indices, hypotheses in forced_batches(bundle.ready(), sources, targets):
        for index, hypothesis in zip(indices, hypotheses, strict=True):
            np.testing.assert_allclose(scored[index].log_probs, hypothesis.log_probs, atol=2e-5, rtol=0)


@pytest.mark.slow
@pytest.mark.parametrize("number", range(len(CASES)))
def test_greedy_search_is_ours(random_transformer: Random, number: int) -> None:
    bundle = random_transformer(*CASES[number], seed=number)
    config = SearchConfig(max_length=20)
    ours = search(bundle.ready(), encoded(bundle), config)
    theirs = searched(CTranslate2.of(bundle), encoded(bundle), config)
    assert [found[0].tokens for found in theirs] == [found[0].tokens for found in ours]
    np.testing.assert_allclose([found[0].score for found in theirs], [found[0].score for found in ours], atol=1e-5)


def searched(
    engine: CTranslate2, sources: Sequence[Sequence[int]], config: SearchConfig, asked: Asked | None = None
) -> list[list[Hypothesis]]:
    answers: list[list[Hypothesis]] = [[] for _ in sources]
    for indices, groups in engine.search_batches(sources, config, asked or Asked()):
        for index, found in zip(indices, groups, strict=True):
            assert found is not None
            answers[index] = found
    return answers


@pytest.mark.slow
@pytest.mark.parametrize("length_penalty", [1.0, 0.0])
def test_a_beam_keeps_the_hypotheses_that_ours_keeps(random_transformer: Random, length_penalty: float) -> None:
    bundle = random_transformer(seed=3)
    config = SearchConfig(4, length_penalty, max_length=20)
    ours = search(bundle.ready(), encoded(bundle), config)
    theirs = searched(CTranslate2.of(bundle), encoded(bundle), config)
    if not length_penalty:  # else the two do not end at the same step (docs/export.md)
        assert [found[0].tokens for found in theirs] == [found[0].tokens for found in ours]
    for other in theirs:
        assert len(other) == 4
        assert [each.score for each in other] == sorted((each.score for each in other), reverse=True)


def test_every_setting_is_among_the_cases() -> None:
    tried = {name for model, _, _ in CASES for name in model}
    assert tried == TransformerConfig.model_fields.keys() - {"family", "lexicon"}
    fields = TransformerConfig.model_fields
    for name in ("positions", "activation", "norm"):
        known = set(fields[name].annotation.__args__)  # type: ignore[union-attr]
        assert {model.get(name, fields[name].default) for model, _, _ in CASES} == known


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (({}, {"score": "additive"}, {}), "attention.score = 'additive'"),
        (({}, {"normalize": "sparsemax"}, {}), "attention.normalize = 'sparsemax'"),
        (({}, {"window": "local-p"}, {}), "attention.window = 'local-p'"),
        (({}, {}, {"window": "sliding:3"}), "self_attention.window = 'sliding'"),
        (({"lexicon": 0.4}, {}, {}), "model.lexicon = 0.4"),
        (({}, {"num_heads": 2}, {}), "attention.num_heads = 2 beside self_attention.num_heads = 3"),
    ],
)
def test_what_it_cannot_express_is_refused_by_name(random_transformer: Random, settings: Any, words: str) -> None:
    bundle = random_transformer(*settings)
    assert refusals(bundle.architecture) == [words]
    with pytest.raises(UsageError, match="cannot express") as caught:
        Translator(bundle, engine="ctranslate2")
    assert words in caught.value.message


def test_other_families_are_refused() -> None:
    assert refusals(Bundle.load("small-world").architecture) == ["model.family = 'cnn'"]


def test_a_translator_asks_it_and_does_the_rest_itself(random_transformer: Random) -> None:
    bundle = random_transformer(seed=1)
    plain, fast = Translator(bundle, device="cpu"), Translator(bundle, device="cpu", engine="ctranslate2")
    config = SearchConfig(stop_loops=False, max_length=20)
    found = fast.translate(SENTENCES, config)
    assert "model" not in vars(fast)  # not made yet
    assert [one.text for one in found] == [one.text for one in plain.translate(SENTENCES, config)]
    for options in ({"trace": True}, {"prefix": "我"}, {"forbid": ["我"]}):
        answers = [each.translate(SENTENCES[:3], **options)[1] for each in (fast, plain)]  # type: ignore[arg-type]
        assert answers[0].text == answers[1].text
    assert (answers[0].trace is None) == (answers[1].trace is None)
    assert "model" in vars(fast)


def test_what_it_answers(random_transformer: Random) -> None:
    bundle = random_transformer()
    engine, names = CTranslate2.of(bundle), bundle.target.tokenizer.tokens
    config, loops = SearchConfig(), NoLoops(names)
    assert engine.answers(config, Asked(constraint=AllOf([loops])))
    assert not engine.answers(config, Asked(constraint=AllOf([loops, NoRepeat(2, len(names))])))
    assert not engine.answers(config, Asked(weights=1))
    assert not engine.answers(config, Asked(prefix=[[5]]))
    assert not engine.answers(config, Asked(on_step=lambda _indices, _step: None))
    assert not engine.answers(config._replace(sample=Sample()), Asked())
    assert not engine.answers(config._replace(max_length=10_000), Asked())
    with pytest.raises(CancelledSearch):
        list(engine.search_batches([[4]], config, Asked(cancelled=lambda: True)))


def test_what_loops_or_is_too_long_is_left_to_our_search(random_transformer: Random) -> None:
    bundle = random_transformer()
    with torch.no_grad():
        bundle.weights["decoder.bias"][9] += 50  # it writes this token and no other
    engine = CTranslate2.of(bundle)
    asked = Asked(constraint=NoLoops(bundle.target.tokenizer.tokens))
    (_, answers), *_ = engine.search_batches(encoded(bundle)[:2], SearchConfig(), asked)
    assert answers == [None, None]
    sentences = SENTENCES[:2]
    fast, plain = (Translator(bundle, device="cpu", engine=name).translate(sentences) for name in reversed(ENGINES))
    assert [one.text for one in fast] == [one.text for one in plain]


class Reluctant:
    """An engine that answers every second sentence with its own name."""

    def answers(self, config: SearchConfig, asked: Asked) -> bool:
        return True

    def search_batches(
        self, sources: Sequence[Sequence[int]], config: SearchConfig, asked: Asked
    ) -> Iterator[tuple[list[int], list[list[Hypothesis] | None]]]:
        for start in range(0, len(sources), 3):
            indices = list(range(start, min(start + 3, len(sources))))
            yield indices, [None if index % 2 else [Hypothesis((7, 2), (), -1.0, ())] for index in indices]


def test_answers_of_both_searches_stand_in_the_order_asked(random_transformer: Random) -> None:
    bundle = random_transformer()
    wanted = [one.text for one in Translator(bundle, device="cpu").translate(SENTENCES)]
    seventh = bundle.target.tokenizer.tokens[7]
    found = Translator(bundle, device="cpu", engine=Reluctant()).translate(SENTENCES)
    assert [one.text for one in found] == [text if n % 2 else seventh for n, text in enumerate(wanted)]


def test_8_bits_are_smaller_and_still_translate(random_transformer: Random, tmp_path: Path) -> None:
    bundle = random_transformer({"hidden_size": 96, "feed_forward_size": 384})
    sizes = []
    for precision in ("fp32", "int8"):
        (folder := tmp_path / precision).mkdir()
        write_model(bundle, folder, precision=precision)
        sizes.append((folder / "model.bin").stat().st_size)
        ((hypotheses, scores),) = translate(
            opened(folder, precision="stored"), [["a", "b"]], beam=2, length_penalty=1.0, max_length=9
        )
        assert len(hypotheses) == len(scores) == 2
    assert sizes[1] < 0.5 * sizes[0]
    assert Translator(bundle, device="cpu", precision="int8", engine="ctranslate2").translate(["a b"])[0].source


def test_its_absence_is_said(random_transformer: Random, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ctranslate2", None)
    with pytest.raises(MissingExtra, match="ctranslate2 is not installed") as caught:
        Translator(random_transformer(), engine="ctranslate2")
    assert caught.value.hint == "pip install 'attentio[export]'"


def test_unknown_engines_and_folders_are_said(random_transformer: Random, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no engine 'marian'"):
        open_engine("marian", random_transformer())
    with pytest.raises(UsageError, match="unknown precision 'fp8'"):
        CTranslate2.of(random_transformer(), precision="fp8")
    with pytest.raises(ModelError, match="CTranslate2 cannot open it"):
        opened(tmp_path)
    with pytest.raises(UsageError, match="does not run on mps"):
        opened(tmp_path, device="mps")
