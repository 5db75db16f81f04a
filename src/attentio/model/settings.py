"""The settings of models and their attention, declared once: defaults, bounds, meanings. Imports only pydantic.

Each family of models has its own settings, and `family` says which ones apply.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo

WordDropout = Annotated[
    float, Field(ge=0, lt=1, description="share of whole tokens, source and target, left out of a training pass")
]
Lexicon = Annotated[
    float,
    Field(
        ge=0,
        lt=1,
        description="share of the probability of a target token that what its source tokens were linked with in "
        "training may have (Arthur 2016). 0: none",
    ),
]
TieEmbeddings = Annotated[bool, Field(description="one matrix for the target embedding and the output layer")]


class Section(BaseModel):
    """Settings that cannot be changed, of strict types, without unknown names."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class RNNConfig(Section):
    """A recurrent encoder and decoder."""

    family: Annotated[Literal["rnn"], Field(description="recurrent encoder and decoder")] = "rnn"
    cell: Annotated[Literal["lstm", "gru"], Field(description="recurrent cell")] = "lstm"
    query: Annotated[
        Literal["current", "previous"],
        Field(
            description="decoder state that asks the attention: 'previous' (Bahdanau: the context enters the cell) or "
            "'current' (Luong: the context joins after the cell)"
        ),
    ] = "current"
    attention_layer: Annotated[
        Literal["top", "bottom"],
        Field(
            description="decoder layer whose state asks. With 'bottom' (Wu 2016) the context enters every layer "
            "above it, and there must be one"
        ),
    ] = "top"
    input_feeding: Annotated[
        bool, Field(description="with query = 'current': feed the last attentional state into the cell (slower)")
    ] = False
    embedding_size: Annotated[int, Field(ge=1, description="width of the token embeddings")] = 512
    hidden_size: Annotated[int, Field(ge=2, description="width of encoder output and decoder state")] = 512
    bidirectional: Annotated[
        bool, Field(description="encoder layers read both ways, half of the width each, or else forwards only")
    ] = True
    encoder_layers: Annotated[int, Field(ge=1, description="recurrent encoder layers")] = 1
    decoder_layers: Annotated[int, Field(ge=1, description="recurrent decoder layers")] = 1
    residual: Annotated[
        bool, Field(description="add to what a layer above the first gives what it was given (Wu 2016)")
    ] = False
    layer_norm: Annotated[
        bool, Field(description="layer normalization between layers and on the top one's output (Ba 2016)")
    ] = False
    dropout: Annotated[float, Field(ge=0, lt=1, description="dropout between layers")] = 0.3
    word_dropout: WordDropout = 0.0
    lexical_memory: Annotated[
        bool, Field(description="add the source embeddings to the encoder states that attention looks at")
    ] = True
    lexicon: Lexicon = 0.0
    tie_embeddings: TieEmbeddings = True


class CNNConfig(Section):
    """A convolutional encoder and decoder (Gehring 2017)."""

    family: Annotated[Literal["cnn"], Field(description="convolutional encoder and decoder")] = "cnn"
    embedding_size: Annotated[int, Field(ge=1, description="width of the token embeddings, attended to")] = 256
    hidden_size: Annotated[int, Field(ge=1, description="width of the convolutional layers")] = 256
    encoder_layers: Annotated[int, Field(ge=1, description="convolutional encoder layers")] = 4
    decoder_layers: Annotated[int, Field(ge=1, description="convolutional decoder layers, each with attention")] = 3
    kernel_size: Annotated[int, Field(ge=1, description="positions that one convolution sees, an odd number")] = 3
    max_positions: Annotated[int, Field(ge=1, description="positions that have an embedding of their own")] = 512
    dropout: Annotated[float, Field(ge=0, lt=1, description="dropout on embeddings and before convolutions")] = 0.3
    word_dropout: WordDropout = 0.0
    lexicon: Lexicon = 0.0
    tie_embeddings: TieEmbeddings = True


class TransformerConfig(Section):
    """A Transformer (Vaswani 2017)."""

    family: Annotated[Literal["transformer"], Field(description="self-attentive encoder and decoder")] = "transformer"
    hidden_size: Annotated[int, Field(ge=1, description="width of embeddings and layers")] = 256
    encoder_layers: Annotated[int, Field(ge=1, description="encoder layers")] = 3
    decoder_layers: Annotated[int, Field(ge=1, description="decoder layers, each with self- and cross-attention")] = 3
    feed_forward_size: Annotated[int, Field(ge=1, description="inner width of the feed-forward layers")] = 1024
    activation: Annotated[
        Literal["relu", "gelu", "silu", "swiglu"],
        Field(description="of the feed-forward layers. swiglu is gated (Shazeer 2020)"),
    ] = "gelu"
    norm: Annotated[
        Literal["pre", "post"], Field(description="layer normalization before each part, or after it (Vaswani 2017)")
    ] = "pre"
    positions: Annotated[
        Literal["sinusoidal", "sinusoidal_halves", "sinusoidal_t2t", "learned", "rotary"],
        Field(
            description="how a token's place is told: added to its embedding, or by rotating queries and keys. "
            "sinusoidal_halves is Marian's form, sinusoidal_t2t that of Tensor2Tensor"
        ),
    ] = "sinusoidal"
    max_positions: Annotated[
        int, Field(ge=1, description="positions = 'learned': positions that have an embedding of their own")
    ] = 512
    first_position: Annotated[int, Field(ge=0, description="the number of the first position of sinusoids")] = 0
    scale_embeddings: Annotated[
        bool, Field(description="multiply embeddings by the square root of their width (Vaswani 2017)")
    ] = True
    embedding_norm: Annotated[bool, Field(description="layer normalization of embeddings with their positions")] = False
    share_embeddings: Annotated[
        bool, Field(description="one matrix for the source and target embeddings of one shared vocabulary")
    ] = False
    source_end: Annotated[
        bool, Field(description="whether the end of the source is attended to. OpenNMT's models read none")
    ] = True
    norm_epsilon: Annotated[float, Field(gt=0, description="what layer normalization adds to the variance")] = 1e-5
    dropout: Annotated[
        float, Field(ge=0, lt=1, description="dropout on embeddings, on what each part adds, and inside feed-forward")
    ] = 0.15
    word_dropout: WordDropout = 0.0
    lexicon: Lexicon = 0.0
    tie_embeddings: TieEmbeddings = True

    @property
    def embedding_size(self) -> int:
        """The width of the token embeddings, as in the other families."""
        return self.hidden_size


ModelConfig = RNNConfig | CNNConfig | TransformerConfig


def _kind(axis: str) -> BeforeValidator:
    """Read a kind with its options, as `attention.registry` does, into its canonical text.

    The context `kinds_by_user` says that the user names the kind here and now, so that its module may be imported.
    """

    def read(setting: object, info: ValidationInfo) -> str:
        from attentio.attention.registry import AXES  # it loads torch

        return str(AXES[axis].choose(setting, trusted=bool((info.context or {}).get("kinds_by_user"))))

    return BeforeValidator(read)


class AttentionConfig(Section):
    """The attention of the decoder to the source. Score, normalizer, window and heads are independent choices."""

    score: Annotated[str, _kind("score"), Field(description="how a query and a key are compared")] = "bilinear"
    normalize: Annotated[str, _kind("normalize"), Field(description="how scores become weights")] = "softmax"
    window: Annotated[str, _kind("window"), Field(description="which source positions a query may see")] = "full"
    num_heads: Annotated[int, Field(ge=1, description="number of heads")] = 1
    dropout: Annotated[float, Field(ge=0, lt=1, description="dropout on the weights")] = 0.0


class SelfAttentionConfig(AttentionConfig):
    """The attention of a sentence to itself, in a Transformer's encoder and, causal, in its decoder."""

    score: Annotated[str, _kind("score"), Field(description="how a query and a key are compared")] = "scaled_dot"
    window: Annotated[
        str, _kind("window"), Field(description="which positions of its own sentence a token may see")
    ] = "full"
    num_heads: Annotated[int, Field(ge=1, description="number of heads")] = 4
