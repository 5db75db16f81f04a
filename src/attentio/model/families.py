"""Models from their settings.

A new family is a module of its name with a function `build` of (settings, Surroundings), and settings in
`model.settings`. A module is loaded when its family is built, so that translating loads one family only.
"""

from importlib import import_module

from attentio.errors import UsageError
from attentio.model.decoder import Surroundings
from attentio.model.layers import TokenEmbedding
from attentio.model.lexicon import Lexicon
from attentio.model.seq2seq import Seq2Seq
from attentio.model.settings import AttentionConfig, ModelConfig, SelfAttentionConfig


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
    self_attention = self_attention or SelfAttentionConfig()
    if model.family != "transformer" and self_attention != SelfAttentionConfig():
        raise UsageError(f"self_attention is a part of model.family = 'transformer', and this is {model.family!r}.")
    source, target = (
        TokenEmbedding(size, model.embedding_size, model.dropout, model.word_dropout)
        for size in (source_vocab, target_vocab)
    )
    family = import_module(f"attentio.model.{model.family}")
    encoder, decoder = family.build(model, Surroundings(attention, self_attention, source, target, backend))
    built = Seq2Seq(encoder, decoder, Lexicon(source_vocab) if model.lexicon else None)
    objectives = {layer.normalize.objective for layer in built.decoder.cross_attention().values()}
    if "marginal" in objectives and not built.decoder.can_marginalize:
        raise UsageError(
            f"attention.normalize = {attention.normalize!r} sums over the keys of each target token by itself. In this "
            "decoder a choice may have a say in later tokens, and the sum would be over every path.",
            hint="Take hard_reinforce, or an 'rnn' with query = 'current', attention at the top and no input feeding.",
        )
    return built
