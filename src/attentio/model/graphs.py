"""A model as two ONNX graphs, run by ONNX Runtime on arrays of numpy. A search needs no more, and no torch.

Names tell what a graph takes and gives. The encoder gives a mask, memories and the first state. The step takes them
and gives logits and, with "new " before their names, the next state. Everything else it gives is weights.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from attentio.errors import MissingExtra, ModelError, UsageError
from attentio.runtime.arrays import NUMPY, Array, Arrays

ENCODER, STEP = "encoder.onnx", "step.onnx"
MASK, POSITION, TOKENS, LOGITS = "mask", "position", "tokens", "logits"
NEW = "new "  # before the name of a part of the next state
SHARES = "shares memories"  # in the step's metadata, where several hypotheses of a sentence may look at one memory
TO_TARGET = "decoder self "  # before the number of an attention to the target
HINT = "Install it: pip install 'attentio[runtime]'."

_NAMES = {"source", "lengths", MASK}, {TOKENS, MASK, LOGITS}

Named = Mapping[str, Array]


class Seen(NamedTuple):
    """What an attention attended to: weights (B, H, T, S)."""

    weights: Array


class Encoded(NamedTuple):
    """What the encoder gives: parts of a state by name, and what its attentions attended to."""

    parts: Named
    attended: Mapping[str, Seen]


class State(NamedTuple):
    """What is carried from step to step, by name. `memories` are of the source, the mask among them.

    shares: whether hypotheses of a sentence share a row of its memories. Then `shared_by` of them do.
    """

    position: int
    memories: Named
    carried: Named
    shares: bool
    shared_by: int = 1

    def select(self, indices: NDArray[np.int64]) -> "State":
        """Return the rows `indices`, without those of finished sentences."""
        sentences = indices[:: self.shared_by] // self.shared_by if self.shared_by > 1 else indices
        return self._replace(memories=_rows(self.memories, sentences), carried=_rows(self.carried, indices))

    def repeat(self, times: int) -> "State":
        """Return each row so many times, side by side: the hypotheses of a beam."""
        indices = np.repeat(np.arange(len(self.memories[MASK]) * self.shared_by), times)
        if self.shares:
            return self.reorder(indices)._replace(shared_by=self.shared_by * times)
        return self.select(indices)

    def reorder(self, indices: NDArray[np.int64]) -> "State":
        """Return the rows `indices` where every row keeps its sentence, so that the memories stay as they are."""
        return self._replace(carried=_rows(self.carried, indices))


class Step(NamedTuple):
    """One step: logits (B, V), the next state, and what each attention of the decoder attended to."""

    logits: Array
    state: State
    attended: Mapping[str, Seen]


class GraphDecoder:
    """The step of a decoder. What grows with the target is empty at first, and not given by the encoder."""

    def __init__(self, session: Any) -> None:
        self._session = session
        self._inputs: dict[str, list[Any]] = {each.name: each.shape for each in session.get_inputs()}
        self._outputs: list[str] = [each.name for each in session.get_outputs()]
        self._shares = SHARES in session.get_modelmeta().custom_metadata_map
        self._attended = [name for name in self._outputs if name != LOGITS and not name.startswith(NEW)]

    def cross_attention(self) -> dict[str, None]:
        return {name: None for name in self._attended if not name.startswith(TO_TARGET)}

    def start(self, encoded: Encoded) -> State:
        """Return the state before the first token."""
        parts, states = encoded.parts, [name[len(NEW) :] for name in self._outputs if name.startswith(NEW)]
        rows = len(parts[MASK])
        carried = {
            name: parts[name] if name in parts else np.zeros(_empty(self._inputs[name], rows), dtype=np.float32)
            for name in states
        }
        return State(0, {name: part for name, part in parts.items() if name not in carried}, carried, self._shares)

    def step(self, tokens: Array, state: State) -> Step:
        """Return what follows tokens (B,)."""
        given = {TOKENS: tokens, POSITION: np.array(state.position), **state.memories, **state.carried}
        found = _computed(self._session, self._outputs, {name: given[name] for name in self._inputs})
        made: dict[str, Array] = dict(zip(self._outputs, found, strict=True))
        carried = {name: made[NEW + name] for name in state.carried}
        after = state._replace(position=state.position + 1, carried=carried)
        return Step(made[LOGITS], after, {name: Seen(made[name]) for name in self._attended})


class GraphModel:
    """The two graphs of a model. It may be used by several threads at once."""

    def __init__(self, encoder: Any, step: Any) -> None:
        self._encoder = encoder
        self._outputs: list[str] = [each.name for each in encoder.get_outputs()]
        self.decoder = GraphDecoder(step)

    @property
    def arrays(self) -> Arrays:
        """What a search does with its arrays."""
        return NUMPY

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Open the graphs in a folder. Raises MissingExtra without ONNX Runtime, ModelError where it refuses them."""
        os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # else it reports its use to its maker over the network
        try:
            import onnxruntime
        except ModuleNotFoundError:
            raise MissingExtra(f"{folder} needs onnxruntime, which is not installed.", hint=HINT) from None
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 4
        options.add_session_config_entry("session.disable_quant_qdq", "1")  # 8 bits become numbers once, when it loads
        sessions: list[Any] = []
        for path in (folder / ENCODER, folder / STEP):
            try:
                sessions.append(onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"]))
            except Exception as error:  # it has no class of its own that is public
                told = " ".join(str(error).split())[:200]
                message = f"{path}: ONNX Runtime {onnxruntime.__version__} cannot open it ({told})."
                raise ModelError(message, code="E_MODEL_CORRUPT", file=path) from None
        for path, session, names in zip((ENCODER, STEP), sessions, _NAMES, strict=True):
            if not names <= {each.name for each in (*session.get_inputs(), *session.get_outputs())}:
                message = f"{folder / path} is not {'an encoder' if path == ENCODER else 'a step'} of Attentio."
                raise ModelError(message, code="E_MODEL_CORRUPT", file=folder / path)
        return cls(*sessions)

    def encode(self, source: Array, lengths: Array) -> Encoded:
        """Return what the decoder starts from, for source tokens (B, S) that end with eos, and lengths (B,)."""
        found = _computed(self._encoder, self._outputs, {"source": source, "lengths": lengths})
        made: dict[str, Array] = dict(zip(self._outputs, found, strict=True))
        parts = {name: part for name, part in made.items() if name == MASK or "." in name}
        return Encoded(parts, {name: Seen(part) for name, part in made.items() if name not in parts})


def _computed(session: Any, outputs: list[str], given: Named) -> list[Any]:
    """Return what a graph gives. Raises UsageError where ONNX Runtime cannot compute it."""
    try:
        return session.run(outputs, given)
    except Exception as error:  # it has no class of its own that is public
        told = " ".join(str(error).split())[:100]
        raise UsageError(
            f"a graph of the exported model cannot be computed ({told}).",
            hint="A score such as location has a greatest length: give shorter sentences, or --max-length.",
        ) from None


def _rows(parts: Named, indices: NDArray[np.int64]) -> dict[str, Array]:
    return {name: part[indices] for name, part in parts.items()}


def _empty(shape: list[Any], rows: int) -> list[int]:
    """Return the shape of nothing: so many rows, and no place on the other axis that is free."""
    return [rows, *(size if isinstance(size, int) else 0 for size in shape[1:])]
