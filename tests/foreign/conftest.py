"""Folders of models as Hugging Face keeps them, with the tokenizers of a few sentences."""

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest
import sentencepiece
import torch
from safetensors.torch import save_file

from attentio.bundle import Bundle
from attentio.corpora.small_world.grammar import sample
from attentio.foreign.marian import LAYOUT

PAIRS = sample(200, seed=3)


@pytest.fixture(scope="session")
def spm() -> dict[str, bytes]:
    """A SentencePiece model of each side, made as others make them: with rules, and without our special tokens."""
    found: dict[str, bytes] = {}
    for side in ("source", "target"):
        model = io.BytesIO()
        texts = [getattr(pair, side) for pair in PAIRS]
        cast(Any, sentencepiece.SentencePieceTrainer).train(
            sentence_iterator=iter(texts), model_writer=model, vocab_size=600, hard_vocab_limit=False,
            minloglevel=2, num_threads=1,
        )  # fmt: skip
        found[side] = model.getvalue()
    return found


@pytest.fixture(scope="session")
def vocabulary(spm: dict[str, bytes]) -> list[str]:
    """One vocabulary for both sides, as Marian numbers it: the end first, padding last."""
    tokens: dict[str, None] = {"</s>": None, "<unk>": None}
    for model in spm.values():
        processor = cast(Any, sentencepiece.SentencePieceProcessor)(model_proto=model)
        tokens.update({processor.id_to_piece(i): None for i in range(3, processor.get_piece_size())})
    return [*tokens, ">>eng<<", "<pad>"]


@pytest.fixture(scope="session")
def put_around(spm: dict[str, bytes], vocabulary: list[str]) -> Callable[[Path], None]:
    """Writes vocabulary and tokenizers into a folder."""

    def put(folder: Path) -> None:
        numbers = {token: number for number, token in enumerate(vocabulary)}
        (folder / "vocab.json").write_text(json.dumps(numbers), encoding="utf-8")
        (folder / "tokenizer_config.json").write_text('{"source_lang": "en", "target_lang": "zh"}', encoding="utf-8")
        for side, model in spm.items():
            (folder / f"{side}.spm").write_bytes(model)

    return put


@pytest.fixture
def marian_folder(vocabulary: list[str], put_around: Callable[[Path], None], tmp_path: Path) -> Path:
    """A model of random weights, under Marian's names."""
    torch.manual_seed(0)
    size, inner, tensors = 8, 12, dict[str, torch.Tensor]()

    def linear(name: str, rows: int, columns: int) -> None:
        tensors[f"{name}.weight"], tensors[f"{name}.bias"] = torch.randn(rows, columns), torch.randn(rows)

    for side, count in (("encoder", 2), ("decoder", 1)):
        for number in range(count):
            layer = f"model.{side}.layers.{number}"
            across = (LAYOUT.query, *LAYOUT.key_value, LAYOUT.cross_output) if side == "decoder" else ()
            for part in (*LAYOUT.self_attn, LAYOUT.self_output, *across):
                linear(layer + part, size, size)
            linear(layer + ".fc1", inner, size)
            linear(layer + ".fc2", size, inner)
            for norm in (LAYOUT.self_norm, *([LAYOUT.cross_norm] if across else []), LAYOUT.feed_forward_norm):
                tensors[f"{layer}{norm}.weight"], tensors[f"{layer}{norm}.bias"] = torch.ones(size), torch.zeros(size)
    tensors["model.shared.weight"] = torch.randn(len(vocabulary), size)
    tensors["final_logits_bias"] = torch.randn(1, len(vocabulary))
    config = {
        "model_type": "marian", "d_model": size, "encoder_layers": 2, "decoder_layers": 1,
        "encoder_attention_heads": 2, "decoder_attention_heads": 2, "encoder_ffn_dim": inner, "decoder_ffn_dim": inner,
        "activation_function": "swish", "scale_embedding": True, "max_position_embeddings": 64, "eos_token_id": 0,
        "pad_token_id": len(vocabulary) - 1, "decoder_start_token_id": len(vocabulary) - 1,
    }  # fmt: skip
    folder = tmp_path / "marian"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    save_file(tensors, folder / "model.safetensors")
    put_around(folder)
    return folder


def imported(folder: Path) -> Bundle:
    """The model of a folder."""
    from attentio.foreign import import_model

    return import_model(folder)[1]
