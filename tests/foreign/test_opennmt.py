"""Checkpoints of OpenNMT-py: CTranslate2's own converter is the oracle of what their names mean."""

from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from attentio.errors import ModelError, UsageError
from attentio.export import FORMATS
from attentio.export.format import check_expressed
from attentio.foreign import import_model
from attentio.foreign.asked import Asked
from attentio.foreign.opennmt import LAYOUT
from attentio.search.batched import SearchConfig
from attentio.search.forced import forced_batches
from attentio.translator import Translator

SOURCE = ["<unk>", "<blank>", "<s>", "</s>", "the", "cat", "sleeps", "here", "now"]
TARGET = ["<unk>", "<blank>", "<s>", "</s>", "die", "Katze", "schläft", "hier", "jetzt", "nun"]
SIZE, INNER = 12, 14


def checkpoint(**options: Any) -> dict[str, Any]:
    """What OpenNMT-py 3 saves of a model, with random weights."""
    torch.manual_seed(0)
    said = {
        "encoder_type": "transformer", "decoder_type": "transformer", "enc_layers": 2, "dec_layers": 1, "heads": 3,
        "position_encoding": True, "max_relative_positions": 0, "pos_ffn_activation_fn": "relu",
        "self_attn_type": "scaled-dot", "layer_norm": "standard",
    } | options  # fmt: skip
    model: dict[str, torch.Tensor] = {}
    places = torch.arange(60)[:, None] * torch.exp(torch.arange(0, SIZE, 2) * -(np.log(10_000) / SIZE))
    table = torch.stack([places.sin(), places.cos()], dim=-1).flatten(1)[:, None].float()
    for side, names, between in (("encoder", SOURCE, "transformer"), ("decoder", TARGET, "transformer_layers")):
        below = f"{side}.embeddings.make_embedding"
        model |= {f"{below}.emb_luts.0.weight": torch.randn(len(names), SIZE), f"{below}.pe.pe": table}
        for number in range(said["enc_layers" if side == "encoder" else "dec_layers"]):
            layer = f"{side}.{between}.{number}"
            across = (LAYOUT.query, *LAYOUT.key_value, LAYOUT.cross_output) if side == "decoder" else ()
            for part in (*LAYOUT.self_attn, LAYOUT.self_output, *across):
                model[f"{layer}{part}.weight"] = torch.randn(SIZE, SIZE) / 2  # version 3 has no bias there
            for part, shape in ((".feed_forward.w_1", (INNER, SIZE)), (".feed_forward.w_2", (SIZE, INNER))):
                model |= {f"{layer}{part}.weight": torch.randn(shape), f"{layer}{part}.bias": torch.randn(shape[0])}
            first = [LAYOUT.decoder_self_norm, LAYOUT.cross_norm] if side == "decoder" else [LAYOUT.self_norm]
            for norm in (*first, LAYOUT.feed_forward_norm):
                model |= {f"{layer}{norm}.weight": 1 + torch.randn(SIZE) / 9, f"{layer}{norm}.bias": torch.randn(SIZE)}
        norm = f"{side}.layer_norm"
        model |= {f"{norm}.weight": 1 + torch.randn(SIZE) / 9, f"{norm}.bias": torch.randn(SIZE)}
    generator = {"weight": torch.randn(len(TARGET), SIZE), "bias": torch.randn(len(TARGET))}
    vocabulary = {"src": SOURCE, "tgt": TARGET, "data_task": "seq2seq", "decoder_start_token": "<s>"}
    return {"model": model, "generator": generator, "vocab": vocabulary, "opt": Namespace(**said), "optim": None}


def test_what_its_names_mean_is_what_ctranslate2_says(tmp_path: Path) -> None:
    ctranslate2 = pytest.importorskip("ctranslate2")
    torch.save(checkpoint(), tmp_path / "model.pt")
    name, bundle = import_model(tmp_path / "model.pt")
    assert name == "opennmt"
    model: Any = bundle.architecture.model
    assert (model.positions, model.norm, model.norm_epsilon, model.source_end) == ("sinusoidal", "pre", 1e-6, False)

    spec = ctranslate2.converters.OpenNMTPyConverter(str(tmp_path / "model.pt"))
    with torch.serialization.safe_globals([Namespace]):
        spec.convert(str(tmp_path / "theirs"))
    theirs = ctranslate2.Translator(str(tmp_path / "theirs"))
    sources = [["the", "cat", "sleeps"], ["now"], ["here", "the", "dog", "sleeps", "now"]]
    targets = [["die", "Katze"], ["nun", "nun", "hier"], ["jetzt"]]
    scored = theirs.score_batch(sources, targets)
    numbers = [bundle.source.tokenizer.encode(" ".join(tokens)) for tokens in sources]
    written = [bundle.target.tokenizer.encode(" ".join(tokens)) for tokens in targets]
    for indices, hypotheses in forced_batches(bundle.build().eval(), numbers, written):
        for index, hypothesis in zip(indices, hypotheses, strict=True):
            # It includes in the sum what is never written, and its normalization has another epsilon.
            ours = _with_all(bundle, numbers[index], written[index])
            np.testing.assert_allclose(scored[index].log_probs, ours, atol=2e-4)
            assert len(hypothesis.tokens) == len(ours)


def _with_all(bundle: Any, source: list[int], target: list[int]) -> list[float]:
    """Log-probabilities of a target, where padding could be written, too."""
    model = bundle.build().eval()
    with torch.no_grad():
        logits = model(torch.tensor([[*source, 2]]), torch.tensor([len(source) + 1]), torch.tensor([[1, *target]]))[0]
    return [row.log_softmax(-1)[token].item() for row, token in zip(logits, [*target, 2], strict=True)]


def test_it_translates_words_between_spaces(tmp_path: Path) -> None:
    torch.save(checkpoint(), tmp_path / "model.pt")
    bundle = import_model(tmp_path / "model.pt")[1]
    assert (bundle.source.tokenizer.kind, bundle.target.tokenizer.kind) == ("space", "space")
    (found,) = Translator(bundle, device="cpu").translate(["the dog sleeps"], SearchConfig(max_length=4), trace=True)
    assert found.unseen == ("dog",)
    assert set(found.text.split()) <= {*TARGET, "\ufffd"}
    assert found.trace is not None
    assert [found.source[start:end] for start, end in found.trace.source_spans] == ["the", "dog", "sleeps", ""]
    assert not next(iter(found.trace.weights.values()))[..., -1].any()  # nothing looks at the end, which it never saw


def test_a_format_that_cannot_says_which_can(tmp_path: Path) -> None:
    torch.save(checkpoint(), tmp_path / "model.pt")
    bundle = import_model(tmp_path / "model.pt", Asked("en", "de"))[1]
    with pytest.raises(UsageError, match="argos cannot express a source tokenizer of the kind 'space'") as caught:
        check_expressed(FORMATS["argos"], bundle, list(FORMATS.values()))
    assert caught.value.hint == "Formats that can: html, site, onnx, ctranslate2."


class Vocabulary:
    """As torchtext's, which a file of version 2 holds."""


def options(**changes: Any) -> Callable[[], dict[str, Any]]:
    return lambda: checkpoint(**changes)


def changed(part: str, name: str, value: Any) -> Callable[[], dict[str, Any]]:
    def make() -> dict[str, Any]:
        made = checkpoint()
        made[part][name] = value
        return made

    return make


FAULTS: dict[str, tuple[Callable[[], Any], str]] = {
    "relative positions": (options(max_relative_positions=20), "has max_relative_positions = 20, which no vanilla"),
    "another encoder": (options(encoder_type="brnn"), "has encoder_type = 'brnn'"),
    "another norm": (options(layer_norm="rms"), "has layer_norm = 'rms'"),
    "no positions": (options(position_encoding=False), "has position_encoding = False"),
    "another activation": (options(pos_ffn_activation_fn="fast_gelu"), "has pos_ffn_activation_fn = 'fast_gelu'"),
    "features": (changed("vocab", "src_feats", {"case": ["a"]}), "has features beside its source tokens"),
    "a part too much": (changed("model", "encoder.more", torch.ones(1)), "no vanilla Transformer: it has encoder.more"),
    "tokens too few": (changed("vocab", "tgt", TARGET[:-1]), "the target vocabulary has 9 tokens"),
    "objects": (changed("vocab", "src", Vocabulary()), "Vocabulary, which could run code, and is not opened"),
    "no lists": (changed("vocab", "src", None), "its vocabularies are no lists, as in OpenNMT-py 3"),
    "something else": (lambda: {"epoch": 3}, "is no checkpoint of OpenNMT-py"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_is_wrong_is_one_line(fault: str, tmp_path: Path) -> None:
    make, words = FAULTS[fault]
    torch.save(make(), tmp_path / "model.pt")
    with pytest.raises(ModelError) as caught:
        import_model(tmp_path / "model.pt")
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("size", [3, 100, 3000])
def test_a_file_that_is_cut_off_is_said(tmp_path: Path, size: int) -> None:
    torch.save(checkpoint(), tmp_path / "model.pt")
    (tmp_path / "model.pt").write_bytes((tmp_path / "model.pt").read_bytes()[:size])
    with pytest.raises(ModelError, match=r"is no whole file of torch|which could run code") as caught:
        import_model(tmp_path / "model.pt")
    assert "\n" not in str(caught.value)
