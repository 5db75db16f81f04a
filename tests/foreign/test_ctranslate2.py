"""Models of CTranslate2: a real one answers as CTranslate2 itself, and one of ours comes back as it was."""

import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from attentio.bundle import Bundle
from attentio.engines.ctranslate2 import write_model
from attentio.errors import ModelError, UsageError
from attentio.foreign import import_model
from attentio.foreign.asked import Asked
from attentio.search.batched import SearchConfig
from attentio.translator import Translator

Random = Callable[..., Bundle]
WORDS = ["آتزمون", "آزا", "محمد", "سلام", "بيروت", "دمشق", "نور", "كريم"]


@pytest.mark.slow
@pytest.mark.parametrize("beam", [1, 4])
def test_a_real_model_writes_what_ctranslate2_writes(shared_data: Path, beam: int) -> None:
    ctranslate2 = pytest.importorskip("ctranslate2")
    folder = shared_data / "models" / "aren-transliteration"
    if not folder.is_dir():
        pytest.skip(f"{folder} is not there")
    name, bundle = import_model(folder, Asked("ar", "en"))
    model: Any = bundle.architecture.model
    assert (name, model.positions, model.first_position, model.source_end) == (
        "ctranslate2",
        "sinusoidal_t2t",
        1,
        False,
    )
    found = Translator(bundle, device="cpu").translate(WORDS, SearchConfig(beam, 0.0))
    theirs = ctranslate2.Translator(str(folder)).translate_batch(
        [list(word) for word in WORDS], beam_size=beam, length_penalty=0, min_decoding_length=0, return_scores=True
    )
    assert [one.text for one in found] == ["".join(each.hypotheses[0]) for each in theirs]
    assert [one.score for one in found] == pytest.approx([each.scores[0] for each in theirs], abs=1e-5)


SETTINGS: list[dict[str, Any]] = [
    {"norm": "post", "activation": "relu", "embedding_norm": True, "scale_embeddings": False},
    {"positions": "rotary", "activation": "swiglu", "tie_embeddings": False, "source_end": False},
    {"positions": "learned", "max_positions": 7, "activation": "silu", "share_embeddings": True},
]


@pytest.mark.slow
@pytest.mark.parametrize("settings", SETTINGS, ids=str)
@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_what_is_written_is_read(random_transformer: Random, settings: Any, precision: str, tmp_path: Path) -> None:
    pytest.importorskip("ctranslate2")
    bundle = random_transformer(settings, seed=4)
    write_model(bundle, tmp_path, precision=precision)
    back = import_model(tmp_path)[1]
    for field, value in bundle.architecture.model.model_dump().items():
        if field not in ("max_positions", "dropout"):
            assert getattr(back.architecture.model, field) == value, field
    source, lengths = torch.tensor([[5, 9, 4, 2], [7, 2, 0, 0]]), torch.tensor([4, 2])
    target = torch.tensor([[1, 5, 6], [1, 4, 9]])
    wanted, found = (each.build().eval()(source, lengths, target)[..., 2:] for each in (bundle, back))
    torch.testing.assert_close(found, wanted, atol=1e-5 if precision == "fp32" else 0.3, rtol=0)


def content(folder: Path) -> bytes:
    return (folder / "model.bin").read_bytes()


def swapped(before: bytes, after: bytes) -> Callable[[Path], object]:
    return lambda folder: (folder / "model.bin").write_bytes(content(folder).replace(before, after))


def written(name: str, text: str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_text(text, encoding="utf-8")


FAULTS: dict[str, tuple[Callable[[Path], object], str]] = {
    "cut off": (lambda folder: (folder / "model.bin").write_bytes(content(folder)[:3000]), "it is cut off"),
    "empty": (lambda folder: (folder / "model.bin").write_bytes(b""), "is no whole model of CTranslate2"),
    "noise": (lambda folder: (folder / "model.bin").write_bytes(bytes(range(256)) * 9), "version 50462976 of the file"),
    "newer": (swapped(struct.pack("<IH", 6, 16), struct.pack("<IH", 7, 16)), "version 7 of the file, and 2 to 6"),
    "another kind": (swapped(b"TransformerSpec", b"WhisperModelSpe"), "holds 'WhisperModelSpe', and no Transformer"),
    "another part": (swapped(b"encoder/layer_norm/beta", b"encoder/layer_norm/glue"), "has encoder/layer_norm/glue"),
    "no vocabulary": (lambda folder: (folder / "target_vocabulary.json").unlink(), "target_vocabulary.json is missing"),
    "no list": (written("source_vocabulary.json", "{}"), "source_vocabulary.json is no list of tokens"),
    "few tokens": (written("source_vocabulary.json", '["<s>"]'), "the source vocabulary has 1 tokens"),
    "no config": (written("config.json", "{"), "config.json is not JSON of an object"),
    "a beginning": (written("config.json", '{"add_source_bos": true}'), "has add_source_bos"),
    "nonsense around": (written("attentio.json", '{"format": 3}'), "attentio.json cannot be understood"),
    "newer around": (written("attentio.json", '{"format": 99}'), "was written by a newer Attentio"),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS)
def test_what_is_wrong_is_one_line(random_transformer: Random, fault: str, tmp_path: Path) -> None:
    pytest.importorskip("ctranslate2")
    write_model(random_transformer(), tmp_path, precision="fp32")
    spoil, words = FAULTS[fault]
    spoil(tmp_path)
    with pytest.raises(ModelError) as caught:
        import_model(tmp_path)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_setting_beyond_the_vanilla_is_refused(random_transformer: Random, tmp_path: Path) -> None:
    pytest.importorskip("ctranslate2")
    write_model(random_transformer(), tmp_path, precision="fp32")
    name = b"decoder/alignment_heads"
    (tmp_path / "model.bin").write_bytes(content(tmp_path).replace(name, b"decoder/sliding_windows"))
    with pytest.raises(ModelError, match="has decoder/sliding_windows = 3"):
        import_model(tmp_path)


def test_what_is_no_model_is_said(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no such file or folder"):
        import_model(tmp_path / "none")
    (tmp_path / "a.txt").write_text("text", encoding="utf-8")
    for path in (tmp_path, tmp_path / "a.txt"):
        with pytest.raises(UsageError, match="is no model of a known format") as caught:
            import_model(path)
        assert "a folder of CTranslate2, a folder of Marian" in str(caught.value.hint)


def test_tokenizers_of_a_model_without_any(random_transformer: Random, tmp_path: Path) -> None:
    """Characters where all tokens are single ones, else what stands between spaces."""
    pytest.importorskip("ctranslate2")
    write_model(random_transformer(), tmp_path, precision="fp32")
    assert import_model(tmp_path)[1].source.tokenizer.kind == "char"
    path = tmp_path / "source_vocabulary.json"
    path.write_text(json.dumps([f"{token}x" for token in json.loads(path.read_text("utf-8"))]), encoding="utf-8")
    assert import_model(tmp_path)[1].source.tokenizer.kind == "space"
    with pytest.raises(UsageError, match="is for models with SentencePiece"):
        import_model(tmp_path, Asked(before=">>deu<<"))
