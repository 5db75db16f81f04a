"""The families of models: a table from the name of a family to its settings and its builder, and `build_model`.

A new family is a module with its builder, its settings in `model.settings`, and a row of `FAMILIES`. A module is
loaded when its family is built, so that translating loads one family only.
"""

from importlib import import_module
from typing import Any, NamedTuple

from torch import nn

from attentio.errors import UsageError
from attentio.model.decoder import Decoder, Surroundings
from attentio.model.layers import TokenEmbedding
from attentio.model.seq2seq import Seq2Seq
from attentio.model.settings import (
    AttentionConfig,
    CNNConfig,
    ModelConfig,
    RNNConfig,
    SelfAttentionConfig,
    TransformerConfig,
)


class Family(NamedTuple):
    """The settings of a family, which of them is the width of the embeddings, and the builder."""

    config: type[ModelConfig]
    width: str
    builder: str  # "module:function": (settings, Surroundings) -> encoder and decoder
    has_self_attention: bool = False

    def build(self, settings: ModelConfig, surroundings: Surroundings) -> tuple[nn.Module, Decoder[Any]]:
        """Load the module of the family, and return a new encoder and decoder."""
        module, function = self.builder.split(":")
        return getattr(import_module(module), function)(settings, surroundings)


FAMILIES: dict[str, Family] = {
    "rnn": Family(RNNConfig, "embedding_size", "attentio.model.rnn:build_rnn"),
    "cnn": Family(CNNConfig, "embedding_size", "attentio.model.cnn:build_cnn"),
    "transformer": Family(
        TransformerConfig, "hidden_size", "attentio.model.transformer:build_transformer", has_self_attention=True
    ),
}


def build_model(
    model: ModelConfig,
    attention: AttentionConfig,
    source_vocab: int,
    target_vocab: int,
    *,
    self_attention: SelfAttentionConfig | None = None,
    backend: str = "auto",
) -> Seq2Seq:
    """Build the model that a configuration describes, with fresh random weights from torch's generator.

    backend: which implementation of the attention to the source runs, see `attention.kernels.backend`.
    Raises UsageError where the parts do not fit together, with the reason.
    """
    family = FAMILIES[model.family]
    self_attention = self_attention or SelfAttentionConfig()
    if not family.has_self_attention and self_attention != SelfAttentionConfig():
        raise UsageError(f"self_attention is a part of model.family = 'transformer', and this is {model.family!r}.")
    width = getattr(model, family.width)
    source = TokenEmbedding(source_vocab, width, model.dropout, model.word_dropout)
    target = TokenEmbedding(target_vocab, width, model.dropout, model.word_dropout)
    built = Seq2Seq(*family.build(model, Surroundings(attention, self_attention, source, target, backend)))
    objectives = {layer.normalize.objective for layer in built.decoder.cross_attention().values()}
    if "marginal" in objectives and not built.decoder.can_marginalize:
        raise UsageError(
            f"attention.normalize = {attention.normalize!r} sums over the keys of each target token by itself. In this "
            "decoder a choice may have a say in later tokens, and the sum would be over every path.",
            hint="Take hard_reinforce, or an 'rnn' with query = 'current', attention at the top and no input feeding.",
        )
    return built
