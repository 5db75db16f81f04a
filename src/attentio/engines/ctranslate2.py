"""CTranslate2: its names for the parts of a Transformer, and its search with our models.

It has one attention, the scaled dot with a softmax over all positions. All else of a Transformer can be expressed.
Everything here was compared with CTranslate2 4.8 (`tests/engines`).
"""

import math
import tempfile
from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple, Self, cast

import torch
from torch import Tensor, nn

from attentio.attention.registry import AXES
from attentio.bundle import Architecture, Bundle
from attentio.engines import Expresses
from attentio.errors import MissingExtra, ModelError, UsageError
from attentio.model.layers import Learned
from attentio.model.settings import TransformerConfig
from attentio.runtime.precision import resolve_precision
from attentio.search.batched import Asked, SearchConfig, batches_of
from attentio.search.constraint import broken
from attentio.search.decode import max_target_length, raise_if_cancelled
from attentio.search.hypothesis import Hypothesis
from attentio.text.special import SPECIAL, SPECIAL_TOKENS

EXPRESSED = Expresses(
    families=frozenset(["transformer"]),
    score=frozenset(["dot", "scaled_dot"]),
    normalize=frozenset(["softmax"]),
    window=frozenset(["full"]),
)
# Our names for its types. "stored": that of the folder.
ARITHMETIC = {"fp32": "float32", "bf16": "bfloat16", "int8": "int8_float32", "stored": "default"}
_ACTIVATIONS = {"relu": "RELU", "gelu": "GELU", "silu": "SWISH", "swiglu": "SWISH"}
_LEAST_POSITIONS = 512
_IMPOSSIBLE = -1e9  # the bias of a token that is never written
_PATIENCE = 2  # with 1 its beam ends before ours: 393 of 400 answers were ours, with 2 all were
_SENTENCES = 32  # that a thread translates at once


def refusals(architecture: Architecture) -> list[str]:
    """Return the settings that CTranslate2 cannot express. Empty where it can express all."""
    found = EXPRESSED.refusals(architecture)
    if architecture.model.family != "transformer":
        return found[:1]
    heads, own = architecture.attention.num_heads, architecture.self_attention.num_heads
    if heads != own:
        found.append(f"attention.num_heads = {heads} beside self_attention.num_heads = {own}")
    return found


def unavailable() -> str | None:
    """Return why CTranslate2 cannot be used here, None where it can."""
    try:
        import_module("ctranslate2")
    except ImportError:
        return "ctranslate2 is not installed"
    return None


def check_installed() -> None:
    """Raise MissingExtra where CTranslate2 is not installed."""
    if why := unavailable():
        raise MissingExtra(f"{why}.", hint="pip install 'attentio[export]'")


def most_positions(bundle: Bundle) -> int:
    """Return how many tokens a sentence may have in CTranslate2: as many as its longest translation, at least."""
    return max(_LEAST_POSITIONS, max_target_length(bundle.longest_source) + 2)


def write_model(bundle: Bundle, folder: Path, *, precision: str) -> None:
    """Fill a folder with the model in CTranslate2's format. Raises MissingExtra where it is not installed.

    precision: "fp32", or "int8" with one scale for each row of a matrix.
    """
    check_installed()
    spec = _spec(bundle)
    spec.validate()
    spec.optimize(quantization=ARITHMETIC[precision])
    spec.save(str(folder))


def _spec(bundle: Bundle) -> Any:
    """Return CTranslate2's description of a model, filled with its weights."""
    from ctranslate2.specs import common_spec, transformer_spec

    parts = bundle.architecture
    model = cast(TransformerConfig, parts.model)
    heads, size = parts.self_attention.num_heads, model.hidden_size
    settings: dict[str, Any] = {
        "pre_norm": model.norm == "pre",
        "activation": getattr(common_spec.Activation, _ACTIVATIONS[model.activation]),
        "ffn_glu": model.activation == "swiglu",
        "layernorm_embedding": model.embedding_norm,
    }
    if model.positions == "rotary":
        settings |= {"rotary_dim": 0, "rotary_interleave": False}
    last = {"alignment_layer": model.decoder_layers - 1, "alignment_heads": heads}
    encoder = transformer_spec.TransformerEncoderSpec(model.encoder_layers, heads, **settings)
    decoder = transformer_spec.TransformerDecoderSpec(model.decoder_layers, heads, **last, **settings)
    built: Any = bundle.build()
    for spec, side in ((encoder, built.encoder), (decoder, built.decoder)):
        _fill_side(spec, side, _Attentions(parts, size // heads), model, most_positions(bundle))
    bias = built.decoder.bias.detach().clone()
    bias[[SPECIAL.pad, SPECIAL.bos]] = _IMPOSSIBLE
    _fill_linear(decoder.projection, built.decoder.output, bias)
    spec: Any = transformer_spec.TransformerSpec(encoder, decoder)
    spec.register_source_vocabulary(list(bundle.source.tokenizer.tokens))
    spec.register_target_vocabulary(list(bundle.target.tokenizer.tokens))
    config: Any = spec.config
    _, config.bos_token, config.eos_token, config.unk_token = SPECIAL_TOKENS
    config.decoder_start_token = config.bos_token
    config.add_source_eos = model.source_end
    config.layer_norm_epsilon = model.norm_epsilon
    return spec


class _Attentions(NamedTuple):
    """What is said of attentions. `width`: numbers of one head."""

    architecture: Architecture
    width: int

    def factor(self, section: str) -> float:
        """Return what queries are multiplied by: CTranslate2 divides every score by the square root of the width."""
        kind = AXES["score"].choose(getattr(self.architecture, section).score).name
        return math.sqrt(self.width) if kind == "dot" else 1.0


def _fill_side(spec: Any, side: Any, attentions: _Attentions, model: TransformerConfig, positions: int) -> None:
    embeddings = spec.embeddings[0] if isinstance(spec.embeddings, list) else spec.embeddings
    embeddings.weight = _array(side.embedding.table)
    spec.scale_embeddings = model.scale_embeddings
    if side.positions is None:
        vars(spec).pop("position_encodings", None)  # a decoder that rotates has none
    else:
        spec.position_encodings.encodings = _array(_table(side.positions, positions))
    if model.embedding_norm:
        _fill_norm(spec.layernorm_embedding, side.embedding_norm)
    if model.norm == "pre":
        _fill_norm(spec.layer_norm, side.norm)
    for into, layer in zip(spec.layer, side.layers, strict=True):
        own = layer.self_attn.query_key_value
        weight, bias = _scaled(own, attentions.factor("self_attention"), model.hidden_size)
        _fill_linear(into.self_attention.linear[0], weight, bias)
        _fill_linear(into.self_attention.linear[1], layer.self_attn.output.weight, layer.self_attn.output.bias)
        _fill_norm(into.self_attention.layer_norm, layer.self_residual.norm)
        if hasattr(into, "attention"):  # of a decoder
            weight, bias = _scaled(layer.cross.query, attentions.factor("attention"), model.hidden_size)
            _fill_linear(into.attention.linear[0], weight, bias)
            _fill_linear(into.attention.linear[1], layer.cross.key_value.weight, layer.cross.key_value.bias)
            _fill_linear(into.attention.linear[2], layer.cross.output.weight, layer.cross.output.bias)
            _fill_norm(into.attention.layer_norm, layer.cross_residual.norm)
        inner, output = layer.feed_forward.inner, layer.feed_forward.output
        if layer.feed_forward.gated:
            (gate, hidden), (gate_bias, hidden_bias) = inner.weight.chunk(2), inner.bias.chunk(2)
            _fill_linear(into.ffn.linear_0, gate, gate_bias)
            _fill_linear(into.ffn.linear_0_noact, hidden, hidden_bias)
        else:
            _fill_linear(into.ffn.linear_0, inner.weight, inner.bias)
        _fill_linear(into.ffn.linear_1, output.weight, output.bias)
        _fill_norm(into.ffn.layer_norm, layer.feed_forward_residual.norm)


def _table(positions: Any, count: int) -> Tensor:
    """Return the vectors of `count` positions. CTranslate2 refuses positions that its table lacks."""
    return positions(0, max(count, len(positions.table)) if isinstance(positions, Learned) else count)


def _scaled(linear: nn.Linear, factor: float, rows: int) -> tuple[Tensor, Tensor]:
    """Return weight and bias with the first rows multiplied."""
    weight, bias = linear.weight.detach().clone(), linear.bias.detach().clone()
    weight[:rows] *= factor
    bias[:rows] *= factor
    return weight, bias


def _fill_linear(spec: Any, weight: Tensor, bias: Tensor) -> None:
    spec.weight, spec.bias = _array(weight), _array(bias)


def _fill_norm(spec: Any, norm: nn.LayerNorm) -> None:
    spec.gamma, spec.beta = _array(norm.weight), _array(norm.bias)


def _array(tensor: Tensor) -> Any:
    return tensor.detach().float().contiguous().numpy().copy()


class CTranslate2:
    """A model that CTranslate2 searches with. It may be used by several threads at once."""

    def __init__(self, bundle: Bundle, translator: Any) -> None:
        self._translator = translator
        self._names = bundle.source.tokenizer.tokens
        self._ids = {name: number for number, name in enumerate(bundle.target.tokenizer.tokens)}
        self._longest = most_positions(bundle)

    @classmethod
    def of(cls, bundle: Bundle, *, device: str = "cpu", precision: str = "fp32") -> Self:
        """Return the engine for a model, which is converted. Raises UsageError for what it cannot express."""
        check_installed()
        if refused := refusals(bundle.architecture):
            raise UsageError(
                f"CTranslate2 cannot express {' and '.join(refused)}.",
                hint="Leave --engine out.",
                code="E_EXPORT_SETTING",
            )
        if precision != "int8":
            precision = resolve_precision(precision, torch.device(device))
        with tempfile.TemporaryDirectory() as folder:
            write_model(bundle, Path(folder), precision="int8" if precision == "int8" else "fp32")
            return cls(bundle, opened(Path(folder), device=device, precision=precision))

    def answers(self, config: SearchConfig, asked: Asked) -> bool:
        """Return whether it can search in this way: no weights, no steps, no prefix, and nothing that must be."""
        free = asked.prefix is None and (asked.constraint is None or asked.constraint.stops_loops_only)
        seen = asked.weights or asked.on_step is not None
        return free and not seen and config.sample is None and (config.max_length or 0) < self._longest

    def search_batches(
        self, sources: Sequence[Sequence[int]], config: SearchConfig, asked: Asked
    ) -> Iterator[tuple[list[int], list[list[Hypothesis] | None]]]:
        """Yield indices of sources and their hypotheses. None for a source whose hypotheses run in a loop."""
        config.strategy()  # says what cannot be
        sizes = [len(source) + 1 for source in sources]
        for indices in batches_of(sizes, config.max_tokens):  # which it cuts up, for its threads
            raise_if_cancelled(asked.cancelled)
            yield indices, self._search([sources[index] for index in indices], config, asked)

    def _search(
        self, sources: Sequence[Sequence[int]], config: SearchConfig, asked: Asked
    ) -> list[list[Hypothesis] | None]:
        limits = [config.max_length or max_target_length(len(source)) for source in sources]
        tokens = [[self._names[token] for token in source] for source in sources]
        found = translate(
            self._translator,
            tokens,
            beam=config.beam_size,
            length_penalty=config.length_penalty,
            max_length=min(max(limits), self._longest - 1),
        )
        answers: list[list[Hypothesis] | None] = []
        for (hypotheses, scores), limit in zip(found, limits, strict=True):
            read = [tuple(self._ids[name] for name in hypothesis) for hypothesis in hypotheses]
            whole = all(len(each) <= limit for each in read)
            made = [Hypothesis(ids, (), score, ()) for ids, score in zip(read, scores, strict=True)]
            answers.append(made if whole else None)
        if asked.constraint is not None:
            rows = [each.tokens for answer in answers for each in answer or ()]
            looping = iter(broken(asked.constraint, rows))
            for place, answer in enumerate(answers):
                loops = [next(looping) for _ in answer or ()]
                if any(loops):
                    answers[place] = None
        return answers


def opened(folder: Path, *, device: str = "cpu", precision: str = "fp32") -> Any:
    """Return CTranslate2's translator of a folder. Raises ModelError where it cannot be read."""
    check_installed()
    import ctranslate2

    if device not in ("cpu", "cuda"):
        raise UsageError(f"CTranslate2 does not run on {device}.", hint="--device cpu")
    try:
        return ctranslate2.Translator(
            str(folder),
            device=device,
            compute_type=ARITHMETIC[precision],
            # A batch each: twice as fast as two threads for one. On a GPU each would hold memory of its own.
            inter_threads=torch.get_num_threads() if device == "cpu" else 1,
            intra_threads=1,
        )
    except (RuntimeError, ValueError) as error:
        said = " ".join(str(error).split())
        raise ModelError(f"{folder}: CTranslate2 cannot open it ({said}).", file=folder) from None


def translate(
    translator: Any, sources: Sequence[Sequence[str]], *, beam: int, length_penalty: float, max_length: int
) -> list[tuple[list[list[str]], list[float]]]:
    """Return the hypotheses of each source, tokens with the end of the sentence, and their scores, best first."""
    found = translator.translate_batch(
        [list(source) for source in sources],
        beam_size=beam,
        num_hypotheses=beam,
        patience=_PATIENCE if beam > 1 else 1,
        length_penalty=length_penalty,
        max_decoding_length=max_length,
        min_decoding_length=0,  # else an answer has a token at least
        max_input_length=0,
        max_batch_size=_SENTENCES,
        return_scores=True,
        return_end_token=True,
    )
    return [(each.hypotheses, each.scores) for each in found]
