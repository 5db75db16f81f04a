"""Marian's models: the same logits and beams as `transformers`, and one line for whatever is wrong with a folder."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from attentio.bundle import Bundle
from attentio.errors import ModelError, UsageError
from attentio.export import FORMATS
from attentio.export.parity import ToExport, export
from attentio.foreign import import_model
from attentio.foreign.asked import Asked
from attentio.search.batched import SearchConfig, search
from attentio.text.numbered import NumberedTokenizer
from attentio.translator import Translator

MadeOnce = Callable[[str, Callable[[Path], None]], Path]


@pytest.fixture(scope="module")
def oracle(
    made_once: MadeOnce,
    foreign_packages: Callable[[str], Path],
    put_around: Callable[[Path], None],
    vocabulary: list[str],
) -> Path:
    packages = foreign_packages("transformers")

    def fill(folder: Path) -> None:
        (folder / "size.json").write_text(json.dumps(len(vocabulary)), encoding="utf-8")
        command = [sys.executable, str(Path(__file__).with_name("marian_oracle.py")), str(packages), str(folder)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        for each in folder.iterdir():
            if each.is_dir():
                put_around(each)

    return made_once("marian", fill)


@pytest.mark.slow
@pytest.mark.parametrize("number", range(5))
def test_logits_and_beams_are_those_of_transformers(oracle: Path, number: int, vocabulary: list[str]) -> None:
    folder = oracle / str(number)
    name, bundle = import_model(folder)
    found = np.load(folder / "found.npz")
    assert name == "marian"
    model = bundle.build().eval()
    own = {token: i for i, token in enumerate(bundle.target.tokenizer.tokens)}
    numbers = {place: own.get(token, -1) for place, token in enumerate(vocabulary)}
    numbers |= {0: 2, 1: 3, len(vocabulary) - 1: 1}  # the end, the unknown, and what begins a target
    places = torch.tensor([place for place in numbers if place != len(vocabulary) - 1])
    ours = torch.tensor([numbers[int(place)] for place in places])
    sources = [[numbers[token] for token in found[f"source {row}"][:-1].tolist()] for row in range(4)]
    for row, source in enumerate(sources):
        target = torch.tensor([[numbers[token] for token in found[f"target {row}"].tolist()]])
        with torch.no_grad():
            logits = model(torch.tensor([[*source, 2]]), torch.tensor([len(source) + 1]), target)[0]
        torch.testing.assert_close(logits[:, ours], torch.tensor(found[f"logits {row}"])[:, places], atol=1e-5, rtol=0)
    for beam, penalty in ((1, 1.0), (4, 0.0), (4, 1.0)):
        answers = search(bundle.ready(), sources, SearchConfig(beam, penalty))
        for row, (best, *_) in enumerate(answers):
            theirs = [numbers[token] for token in found[f"beam {beam} {penalty} {row}"][1:].tolist()]
            assert list(best.tokens) == theirs


def test_a_folder_becomes_a_model_that_translates(marian_folder: Path, tmp_path: Path) -> None:
    name, bundle = import_model(marian_folder)
    assert name == "marian"
    model: Any = bundle.architecture.model
    assert (model.norm, model.activation, model.positions) == ("post", "silu", "sinusoidal_halves")
    assert (model.share_embeddings, model.tie_embeddings, model.scale_embeddings) == (True, True, True)
    assert (bundle.source.language, bundle.target.language, bundle.longest_source) == ("en", "zh", 63)
    bundle.save(tmp_path / "ours")
    again = Translator(Bundle.load(tmp_path / "ours"), device="cpu")
    found, wanted = (each(text := "I love you.") for each in (again, Translator(bundle, device="cpu")))
    assert (found.text, found.score) == (wanted.text, wanted.score)
    assert found.trace is not None
    assert "".join(text[start:end] for start, end in found.trace.source_spans) == "Iloveyou."


def test_rows_follow_their_tokens(marian_folder: Path, vocabulary: list[str]) -> None:
    bundle = import_model(marian_folder)[1]
    table = load_file(marian_folder / "model.safetensors")["model.shared.weight"]
    tokens = bundle.source.tokenizer.tokens
    for number in (4, 17, len(tokens) - 1):
        place = vocabulary.index(tokens[number])
        assert torch.equal(bundle.weights["encoder.embedding.table"][number], table[place])
    assert torch.equal(bundle.weights["encoder.embedding.table"][2], table[0])  # the end
    assert torch.equal(bundle.weights["encoder.embedding.table"][1], table[-1])  # a target begins with padding
    assert not bundle.weights["encoder.embedding.table"][0].any()


def test_a_model_of_several_languages_is_told_which(marian_folder: Path) -> None:
    tokenizer = import_model(marian_folder, Asked(before=">>eng<<"))[1].source.tokenizer
    assert isinstance(tokenizer, NumberedTokenizer)
    code = tokenizer.tokens.index(">>eng<<")
    plain = import_model(marian_folder)[1].source.tokenizer
    assert tokenizer.encode("I love you.") == [code, *plain.encode("I love you.")]
    assert (
        plain.encode(">>eng<< I love you.")
        == tokenizer.encode(">>eng<< I love you.")
        == tokenizer.encode("I love you.")
    )
    with pytest.raises(UsageError, match="the model has no token '>>deu<<'") as caught:
        import_model(marian_folder, Asked(before=">>deu<<"))
    assert caught.value.hint == "It has >>eng<<."


def test_a_pickle_of_tensors_is_opened_and_any_other_is_not(marian_folder: Path) -> None:
    wanted = import_model(marian_folder)[1].weights
    tensors = load_file(marian_folder / "model.safetensors")
    (marian_folder / "model.safetensors").unlink()
    torch.save(tensors, marian_folder / "pytorch_model.bin")
    found = import_model(marian_folder)[1].weights
    assert all(torch.equal(found[name], tensor) for name, tensor in wanted.items())
    torch.save({"run": subprocess.run}, marian_folder / "pytorch_model.bin")
    with pytest.raises(ModelError, match=r"holds \w+\.run, which could run code, and is not opened"):
        import_model(marian_folder)


def without(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def configured(**changes: object) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        held = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        (folder / "config.json").write_text(json.dumps(held | changes), encoding="utf-8")

    return change


def with_tensors(change: Callable[[dict[str, torch.Tensor]], object]) -> Callable[[Path], None]:
    def put(folder: Path) -> None:
        tensors = load_file(folder / "model.safetensors")
        change(tensors)
        save_file(tensors, folder / "model.safetensors")

    return put


def cut(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).write_bytes((folder / name).read_bytes()[:-40])


def put(name: str, *shape: int) -> Callable[[Path], None]:
    return with_tensors(lambda tensors: tensors.update({name: torch.ones(*shape)}))


EXTRA, FEWER = "model.encoder.layers.0.gate", "model.decoder.layers.0.fc1.weight"
FAULTS: dict[str, tuple[Callable[[Path], None], str]] = {
    "no weights": (without("model.safetensors"), "model.safetensors is missing"),
    "no vocabulary": (without("vocab.json"), "vocab.json: no such file"),
    "no tokenizer": (without("target.spm"), "target.spm is missing"),
    "cut weights": (cut("model.safetensors"), "cannot be read"),
    "cut tokenizer": (cut("source.spm"), "not a SentencePiece model"),
    "cut config": (cut("config.json"), "is not JSON of an object"),
    "another kind": (configured(model_type="t5"), "describes a model of type 't5', and marian is read"),
    "another activation": (configured(activation_function="tanh"), "has activation_function = 'tanh'"),
    "two widths": (configured(decoder_ffn_dim=9), "has encoder_ffn_dim = 12 beside decoder_ffn_dim = 9"),
    "a part too much": (put(EXTRA, 1), f"no vanilla Transformer: it has {EXTRA}"),
    "a part too few": (with_tensors(lambda tensors: tensors.pop(FEWER)), f"{FEWER} is missing"),
    "another size": (put("model.encoder.layers.1.fc2.weight", 8, 9), "the weights do not belong"),
    "other tokens": (put("model.shared.weight", 7, 8), "tokens, and its embeddings are 7"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_is_wrong_is_one_line(marian_folder: Path, fault: str) -> None:
    spoil, words = FAULTS[fault]
    spoil(marian_folder)
    with pytest.raises(ModelError) as caught:
        import_model(marian_folder)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("node") is None, reason="there is no node")
def test_a_page_and_graphs_write_what_an_imported_model_writes(marian_folder: Path, tmp_path: Path) -> None:
    bundle = import_model(marian_folder, Asked(before=">>eng<<"))[1]
    sentences = ["I love you.", ">>eng<< My sister bought two books.", "龘 😀 xyz", "He likes 3 cats."]
    for name in ("html", "onnx", "ctranslate2"):
        model = ToExport("it", bundle, sentences)
        (found,) = export(FORMATS[name], tmp_path / name, [model], precision="fp32", beam=3).agreements
        assert (found.same + found.ties, found.difference < 1e-4) == (len(sentences), True)
