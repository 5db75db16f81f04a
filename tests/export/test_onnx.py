"""ONNX: graphs of every family and kind agree with the model, at free lengths and batches, in 32 and in 8 bits."""

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from attentio.attention.registry import NORMALIZERS, SCORES, WINDOWS
from attentio.attention.score import Dot
from attentio.bundle import Architecture, Bundle
from attentio.errors import MissingExtra, QualityGate, UsageError
from attentio.export import FORMATS
from attentio.export.format import Named, check_expressed, folded, rounded
from attentio.export.graphs import graphs
from attentio.export.onnx import LARGEST_DIFFERENCE, largest_difference
from attentio.export.parity import ToExport, export
from attentio.exported import Exported
from attentio.model.families import build_model
from attentio.model.graphs import ENCODER, GraphModel
from attentio.model.lexicon import MOST
from attentio.search.batched import SearchConfig
from attentio.text.side import Side
from attentio.text.tokenizer import CharTokenizer
from attentio.translator import Translator

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxscript")
pytest.importorskip("onnxruntime")

RNN = {"family": "rnn", "embedding_size": 10, "hidden_size": 12}
CNN = {"family": "cnn", "embedding_size": 12, "hidden_size": 14, "encoder_layers": 1, "max_positions": 9}
TRANSFORMER = {
    **{"family": "transformer", "hidden_size": 12, "encoder_layers": 1, "decoder_layers": 1},
    **{"feed_forward_size": 20, "max_positions": 9},
}


def kind(score: str, normalize: str = "softmax", window: str = "full", heads: int = 2) -> dict[str, Any]:
    return {"score": score, "normalize": normalize, "window": window, "num_heads": heads}


# Each score, normalizer and window stands in one of them, and each family, cell and decoder.
MODELS: dict[str, tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = {
    "lstm": (RNN, kind("dot", "hard_marginal", "local-m:3", heads=1), {}),
    "gru, two layers": (
        {**RNN, "cell": "gru", "encoder_layers": 2, "decoder_layers": 2, "residual": True, "layer_norm": True},
        kind("location_aware:width=3,channels=2"),
        {},
    ),
    "lstm, input feeding": (
        {**RNN, "input_feeding": True, "bidirectional": False},
        kind("coverage", "hard_reinforce"),
        {},
    ),
    "gru, previous state": ({**RNN, "cell": "gru", "query": "previous"}, kind("linear_concat", "mocha:3"), {}),
    "lstm, bottom state": (
        {**RNN, "query": "previous", "attention_layer": "bottom", "decoder_layers": 2, "tie_embeddings": False},
        kind("normed_additive", "monotonic"),
        {},
    ),
    "cnn": (CNN, kind("fertility_coverage", "entmax15", "local-p:3"), {}),
    "transformer": (
        {**TRANSFORMER, "positions": "learned", "activation": "swiglu", "norm": "post"},
        kind("location:40", "sparsemax", "sliding:4"),
        kind("cosine", "hard_straight_through", "relative:2"),
    ),
    "transformer, rotary": (
        {**TRANSFORMER, "positions": "rotary", "activation": "silu"},
        kind("bilinear", "entmax:1.3", "causal"),
        kind("scaled_dot", "softmax", "local-p:2"),
    ),
    "cnn, lexicon": ({**CNN, "lexicon": 0.4}, kind("cosine"), {}),
    "lstm, lexicon": ({**RNN, "lexicon": 0.4}, kind("bilinear", "softmax", "local-m:3"), {}),
    "transformer, sinusoidal": (TRANSFORMER, kind("additive"), kind("dot", "softmax", "causal")),
}
LETTERS = "abcdefghij"


@pytest.fixture(scope="module")
def make() -> Callable[..., Bundle]:
    """Name -> a bundle with random weights that say something."""

    def made(name: str, own: dict[str, Any] | None = None) -> Bundle:
        model, attention, self_attention = MODELS[name]
        self_attention = own or self_attention
        parts: dict[str, Any] = {"model": {**model, "dropout": 0.0}, "attention": attention}
        architecture = Architecture.model_validate(
            parts | ({"self_attention": self_attention} if self_attention else {})
        )
        side = Side(CharTokenizer(["<pad>", "<s>", "</s>", "<unk>", *LETTERS]))
        torch.manual_seed(3)
        size = side.tokenizer.vocab_size
        built = build_model(
            architecture.model, architecture.attention, size, size, self_attention=architecture.self_attention
        )
        with torch.no_grad():
            built.decoder.bias.uniform_(-2, 2)
            if built.lexicon is not None:
                tokens = torch.randint(4, size, (size, MOST))
                built.lexicon.learn(tokens, tokens.roll(1, 1) * (torch.arange(MOST) % 2), torch.rand(size, MOST) / MOST)
        return Bundle(architecture, built.unique_state_dict(), side, side, 40)

    return made


def test_all_kinds_are_tried() -> None:
    for axis, known in (("score", SCORES), ("normalize", NORMALIZERS), ("window", WINDOWS)):
        tried = {setting[axis].split(":")[0] for _, *both in MODELS.values() for setting in both if setting}
        assert tried == set(known)


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_graphs_agree_with_the_model(make: Callable[..., Bundle], name: str, tmp_path: Path) -> None:
    """Also in 8 bits, which must be those of the model."""
    bundle, precision = make(name), "int8" if name in ("cnn", "lstm") else "fp32"
    sentences = ["abc", "j", "aabbccddeeffgghhiijj", "hgab cd"]
    report = export(
        FORMATS["onnx"],
        tmp_path / "it",
        [ToExport("it", bundle, sentences)],
        precision=precision,
        beam=2,
        unchecked=True,
    )
    model = folded(bundle)
    found = largest_difference(rounded(model) if precision == "int8" else model, tmp_path / "it")
    assert found < LARGEST_DIFFERENCE
    assert report.bytes > 0
    graph = GraphModel.load(tmp_path / "it")
    assert graph.decoder.cross_attention().keys() == model.decoder.cross_attention().keys()
    text = b"".join(path.read_bytes() for path in (tmp_path / "it").iterdir())
    assert str(Path(__file__).parents[2]).encode() not in text  # nothing tells where it was written


@pytest.mark.slow
def test_a_sentence_beyond_the_reach_of_a_score_is_one_line(make: Callable[..., Bundle], tmp_path: Path) -> None:
    """In the model and in its graphs. A whole translation is longer than what the graphs are compared with."""
    bundle = make("transformer", own={"score": "location:24", "num_heads": 2})
    with torch.no_grad():
        bundle.weights["decoder.bias"][2] -= 99  # it never ends by itself
    export(FORMATS["onnx"], tmp_path / "it", [ToExport("it", bundle, [])], precision="fp32", unchecked=True)
    for model, told in ((bundle, "reaches 24 keys"), (Exported.load(tmp_path / "it"), "cannot be computed")):
        translator = Translator(model)
        assert translator.translate(["abc"], SearchConfig(1, max_length=20, stop_loops=False))
        with pytest.raises(UsageError, match=told) as caught:
            translator.translate(["abc"], SearchConfig(1, max_length=40, stop_loops=False))
        assert "--max-length" in str(caught.value.hint)


@pytest.mark.slow
def test_a_company_changes_no_answer(exported_world: Path) -> None:
    graph = GraphModel.load(exported_world)
    drawn = np.random.default_rng(1)
    source, lengths = drawn.integers(4, 60, (5, 9)), np.array([9, 3, 7, 1, 4])
    source[np.arange(9) >= lengths[:, None]] = 0
    together = graph.decoder.step(np.full(5, 1), graph.decoder.start(graph.encode(source, lengths)))
    for row, length in enumerate(lengths):
        only = graph.encode(source[row : row + 1, :length], lengths[row : row + 1])
        alone = graph.decoder.step(np.full(1, 1), graph.decoder.start(only))
        np.testing.assert_allclose(alone.logits[0], together.logits[row], atol=1e-5)
        for name, seen in together.attended.items():
            np.testing.assert_allclose(alone.attended[name].weights[0], seen.weights[row, :, :, :length], atol=1e-6)


def test_names_say_what_goes_in_and_out() -> None:
    bundle = Bundle.load("small-world")
    encoder, step = graphs(folded(bundle))
    assert encoder.inputs == ["source", "lengths"]
    assert encoder.outputs[:3] == ["mask", "memory.0.keys", "memory.0.values"]
    assert step.inputs[:3] == ["tokens", "position", "mask"]
    assert step.outputs[0] == "logits"
    assert {"layer 1", "layer 2"} <= set(step.outputs)
    states = [name for name in step.inputs if name.startswith("state.")]
    assert [f"new {name}" for name in states] == step.outputs[1 : 1 + len(states)]


def test_a_graph_that_computes_something_else_is_refused(
    exported_world: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    bundle = Bundle.load("small-world")
    other = {name: weight + 0.01 for name, weight in bundle.weights.items()}
    assert largest_difference(folded(replace(bundle, weights=other)), exported_world) > LARGEST_DIFFERENCE
    graph = {name: (exported_world / name).read_bytes() for name in (ENCODER, "step.onnx")}
    monkeypatch.setattr("torch.onnx.export", lambda module, *_, **__: _Written(graph, type(module).__name__))
    wrong = Named("it", replace(bundle, weights=other))
    with pytest.raises(QualityGate, match="the ONNX graphs disagree with the model: numbers differ by") as caught:
        FORMATS["onnx"].write([wrong], tmp_path, precision="fp32")
    assert caught.value.code == "E_EXPORT_DISAGREES"


class _Written:
    """What the exporter gives, of a graph that was written before."""

    def __init__(self, graph: dict[str, bytes], name: str) -> None:
        self.model_proto = onnx.load_model_from_string(graph[ENCODER if name == "Encoder" else "step.onnx"])


def test_a_kind_of_ones_own_is_refused_by_name(make: Callable[..., Bundle], monkeypatch: pytest.MonkeyPatch) -> None:
    class Mine(Dot):
        about = None

    bundle, module = make("lstm"), ModuleType("my_kinds")
    module.Mine = Mine  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "my_kinds", module)
    settings = bundle.architecture.attention.model_copy(update={"score": "my_kinds:Mine"})
    changed = replace(bundle, architecture=bundle.architecture.model_copy(update={"attention": settings}))
    with pytest.raises(UsageError, match=r"onnx cannot express attention.score = 'my_kinds:Mine'"):
        check_expressed(FORMATS["onnx"], changed, [])


def test_what_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("attentio.export.onnx.find_spec", lambda _: None)
    assert FORMATS["onnx"].unavailable() == "onnxruntime is not installed"
    with pytest.raises(MissingExtra, match=r"writing ONNX needs onnx, onnxscript, onnxruntime"):
        FORMATS["onnx"].write([Named("it", Bundle.load("small-world"))], tmp_path, precision="fp32")
