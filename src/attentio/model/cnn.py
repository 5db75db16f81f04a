"""Convolutional encoder and decoder with attention in every decoder layer (Gehring 2017)."""

from typing import Any

from torch import nn

from attentio.errors import UsageError
from attentio.model.decoder import Decoder
from attentio.model.embedding import TokenEmbedding
from attentio.model.settings import AttentionConfig, CNNConfig


def build_cnn(
    model: CNNConfig, attention: AttentionConfig, source: TokenEmbedding, target: TokenEmbedding, *, backend: str
) -> tuple[nn.Module, Decoder[Any]]:
    """The encoder and decoder that a configuration describes; raises UsageError where its parts do not go together."""
    raise UsageError("model.family = 'cnn' is not there yet.")
