"""Transformer: self-attentive encoder and decoder (Vaswani 2017), with any attention in place of the scaled dot."""

from typing import Any

from torch import nn

from attentio.errors import UsageError
from attentio.model.decoder import Decoder
from attentio.model.embedding import TokenEmbedding
from attentio.model.settings import AttentionConfig, SelfAttentionConfig, TransformerConfig


def build_transformer(
    model: TransformerConfig,
    attention: AttentionConfig,
    self_attention: SelfAttentionConfig,
    source: TokenEmbedding,
    target: TokenEmbedding,
    *,
    backend: str,
) -> tuple[nn.Module, Decoder[Any]]:
    """The encoder and decoder that a configuration describes; raises UsageError where its parts do not go together."""
    raise UsageError("model.family = 'transformer' is not there yet.")
