"""The whole translator: an encoder, a decoder and the attention between them, built from a configuration."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized, remove_parametrizations

from attentio.errors import ModelError, UsageError
from attentio.model.cnn import build_cnn
from attentio.model.decoder import Decoder, Encoded
from attentio.model.embedding import TokenEmbedding
from attentio.model.fast.linear import Linear
from attentio.model.rnn import LuongDecoder, build_rnn
from attentio.model.settings import (
    AttentionConfig,
    CNNConfig,
    ModelConfig,
    RNNConfig,
    SelfAttentionConfig,
    TransformerConfig,
)
from attentio.model.transformer import build_transformer


class Seq2Seq(nn.Module):
    """An encoder and a decoder that looks at what the encoder made of the source."""

    def __init__(self, encoder: nn.Module, decoder: Decoder[Any]) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder

    def encode(self, source: Tensor, lengths: Tensor) -> Encoded:
        """source (B, S) tokens ending with eos, lengths (B,) -> what the decoder starts from."""
        return self.encoder(source, lengths)

    def forward(self, source: Tensor, lengths: Tensor, target_in: Tensor) -> Tensor:
        """source (B, S), lengths (B,), target_in (B, T) starting with bos -> logits (B, T, V)."""
        return self.decoder(target_in, self.encode(source, lengths))

    def num_parameters(self) -> int:
        """Trainable numbers, shared ones counted once."""
        return sum(p.numel() for p in self.parameters() if p.requires_grad)

    def fold(self) -> None:
        """Computes normalised weights (Salimans 2016) once and for all: for a model that learns no more, the same."""
        for module in list(self.modules()):
            if is_parametrized(module):
                remove_parametrizations(module, "weight")

    def pack(self) -> None:
        """Lays weights out as matrix products read them: for a model that learns no more, and stays as it is."""
        for module in self.modules():
            if isinstance(module, Linear | Decoder):
                module.pack()

    def own_tensors(self) -> dict[str, Tensor]:
        """All tensors by name, a shared one once, under its first name."""
        own: dict[int, tuple[str, Tensor]] = {}
        for name, tensor in self.state_dict(keep_vars=True).items():
            own.setdefault(id(tensor), (name, tensor.detach()))
        return dict(own.values())

    def load_own_tensors(self, tensors: Mapping[str, Tensor]) -> None:
        """Takes the values of `own_tensors` of a model of the same shape; raises ModelError naming what is amiss."""
        own = self.own_tensors()
        if differing := sorted(own.keys() ^ tensors.keys()):
            raise ModelError(f"the weights do not belong to this configuration: {differing[0]} is on one side only.")
        for name, tensor in own.items():
            if tensor.shape != tensors[name].shape:
                raise ModelError(
                    f"the weights do not belong to this configuration: {name} is {tuple(tensors[name].shape)} "
                    f"in the file, {tuple(tensor.shape)} in the model."
                )
        for name, tensor in own.items():
            tensor.copy_(tensors[name])


def build_model(
    model: ModelConfig,
    attention: AttentionConfig,
    source_vocab: int,
    target_vocab: int,
    *,
    self_attention: SelfAttentionConfig | None = None,
    backend: str = "auto",
) -> Seq2Seq:
    """Builds the model a configuration describes, with fresh random weights from torch's generator.

    Raises UsageError when the pieces do not fit together, with the reason.
    """
    self_attention = self_attention or SelfAttentionConfig()
    if not isinstance(model, TransformerConfig) and self_attention != SelfAttentionConfig():
        raise UsageError(f"self_attention is a part of model.family = 'transformer', and this is {model.family!r}.")
    width = model.hidden_size if isinstance(model, TransformerConfig) else model.embedding_size
    source = TokenEmbedding(source_vocab, width, model.dropout, model.word_dropout)
    target = TokenEmbedding(target_vocab, width, model.dropout, model.word_dropout)
    match model:
        case RNNConfig():
            built = Seq2Seq(*build_rnn(model, attention, source, target, backend=backend))
        case CNNConfig():
            built = Seq2Seq(*build_cnn(model, attention, source, target, backend=backend))
        case TransformerConfig():
            built = Seq2Seq(*build_transformer(model, attention, self_attention, source, target, backend=backend))
    factors = isinstance(built.decoder, LuongDecoder) and not built.decoder.feeds_back
    if attention.normalize == "hard_marginal" and not factors:
        raise UsageError(
            "attention.normalize = 'hard_marginal' sums over the keys of each target token by itself; here a choice "
            "may have a say in later tokens, and the sum would be over every path.",
            hint="Take hard_reinforce; or an 'rnn' with query = 'current', attention at the top and no input feeding.",
        )
    return built
