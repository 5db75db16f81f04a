"""The whole translator: an encoder, a decoder and the attention between them, built from a configuration."""

from collections.abc import Mapping

from torch import Tensor, nn

from attentio.attention import Attention
from attentio.config import AttentionConfig, ModelConfig
from attentio.errors import ModelError, UsageError
from attentio.model.embedding import TokenEmbedding
from attentio.model.rnn import BahdanauDecoder, Encoded, LuongDecoder, RNNDecoder, RNNEncoder, build_cells


class Seq2Seq(nn.Module):
    """An encoder and a decoder that looks at what the encoder made of the source."""

    def __init__(self, encoder: RNNEncoder, decoder: RNNDecoder) -> None:
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


NEEDS_OWN_OBJECTIVE = ("hard_reinforce", "hard_marginal")  # cross-entropy alone would train these into nonsense


def build_model(
    model: ModelConfig, attention: AttentionConfig, source_vocab: int, target_vocab: int, *, backend: str = "auto"
) -> Seq2Seq:
    """Builds the model a configuration describes, with fresh random weights from torch's generator.

    Raises UsageError when the pieces do not fit together, with the reason.
    """
    if attention.normalize in NEEDS_OWN_OBJECTIVE:
        raise UsageError(
            f"attention.normalize = {attention.normalize!r} needs an objective that training does not offer yet.",
            hint="Take hard_straight_through, or use attentio.attention.objective in a training loop of your own.",
        )
    hidden = model.hidden_size
    if hidden % 2 or hidden % attention.num_heads:
        raise UsageError(
            f"model.hidden_size = {hidden} must be even and divisible by attention.num_heads = {attention.num_heads}."
        )
    source_embedding = TokenEmbedding(source_vocab, model.embedding_size, model.dropout)
    target_embedding = TokenEmbedding(target_vocab, model.embedding_size, model.dropout)
    encoder = RNNEncoder(
        source_embedding,
        cell=model.cell,
        hidden_size=hidden,
        num_layers=model.encoder_layers,
        dropout=model.dropout,
        lexical=model.lexical_memory,
    )
    try:
        cross = Attention(
            hidden,
            hidden,
            score=attention.score,
            normalize=attention.normalize,
            window=attention.window,
            num_heads=attention.num_heads,
            dropout=attention.dropout,
            backend=backend,
        )
    except ValueError as error:
        raise UsageError(f"attention: {error}") from None
    width = model.embedding_size
    if model.query == "previous":
        if model.input_feeding:
            raise UsageError(
                "model.input_feeding needs model.query = 'current': with 'previous' the context enters the cell anyway."
            )
        cells = build_cells(model.cell, width + hidden, hidden, model.decoder_layers)
        decoder: RNNDecoder = BahdanauDecoder(
            target_embedding,
            cells,
            cross,
            memory_size=hidden,
            dropout=model.dropout,
            tie_embeddings=model.tie_embeddings,
        )
    else:
        cells = build_cells(model.cell, 2 * width if model.input_feeding else width, hidden, model.decoder_layers)
        decoder = LuongDecoder(
            target_embedding,
            cells,
            cross,
            memory_size=hidden,
            dropout=model.dropout,
            tie_embeddings=model.tie_embeddings,
            input_feeding=model.input_feeding,
        )
    return Seq2Seq(encoder, decoder)
