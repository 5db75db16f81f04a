"""ONNX: a folder with two graphs for ONNX Runtime, and all that Attentio needs to translate with it without torch.

`graphs` traces the model. Here graphs are written, weights are rounded to 8 bits, and every number that comes out is
compared with the model.
"""

import logging
import warnings
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, cast, final

import numpy as np
import torch
from torch import Tensor

from attentio.errors import MissingExtra, QualityGate
from attentio.export.format import Answer, Format, Named, folded, round_last_axis, rounded
from attentio.export.graphs import OPSET, Graph, graphs
from attentio.export.parity import model_answers
from attentio.exported import Exported
from attentio.model.graphs import ENCODER, STEP, GraphModel
from attentio.model.seq2seq import Seq2Seq
from attentio.translator import Translator

LARGEST_DIFFERENCE = 1e-4
LENGTHS, BATCHES, STEPS = (1, 7, 23), (1, 3, 8), 6
_NEEDED = ("onnx", "onnxscript", "onnxruntime")


@final
class Onnx(Format):
    """Encoder and one step of the decoder as ONNX graphs."""

    name = "onnx"
    about = "a folder with two graphs: translates, shows and serves without torch"
    runtime = "ONNX Runtime, also by Attentio without torch"
    precisions = ("fp32", "int8")
    mark = ENCODER

    def write(self, models: Sequence[Named], path: Path, *, precision: str) -> None:
        if missing := [name for name in _NEEDED if find_spec(name) is None]:
            raise MissingExtra(
                f"writing ONNX needs {', '.join(missing)}.", hint="Install it: pip install 'attentio[export]'."
            )
        (model,) = models
        built = folded(model.bundle)
        if precision == "int8":
            rounded(built)
        encoder, step = graphs(built)
        for graph, name in ((encoder, ENCODER), (step, STEP)):
            (path / name).write_bytes(_traced(graph, precision))
        held = model.bundle
        text = held.source, held.target, held.max_length, held.longest_source, held.placeholders
        metadata = {**held.metadata, "parameters": held.num_parameters, "precision": precision}
        Exported(path, *text, metadata=metadata).save()
        reference = folded(model.bundle)
        difference = largest_difference(rounded(reference) if precision == "int8" else reference, path)
        if not difference <= LARGEST_DIFFERENCE:
            raise QualityGate(
                f"the ONNX graphs disagree with the model: numbers differ by {difference:.1e}.",
                hint="Nothing was written. Please report it.",
                code="E_EXPORT_DISAGREES",
            )

    def unavailable(self) -> str | None:
        return None if find_spec("onnxruntime") else "onnxruntime is not installed"

    def run(self, path: Path, sentences: Sequence[str], *, beam: int, number: int = 0) -> list[Answer]:
        return model_answers(Translator(Exported.load(path)), sentences, beam)


def _traced(graph: Graph, precision: str) -> bytes:
    with _silent():
        program = torch.onnx.export(
            graph.module,
            graph.given,
            dynamo=True,
            input_names=graph.inputs,
            output_names=graph.outputs,
            dynamic_shapes=graph.axes,
            opset_version=OPSET,
            verbose=False,
            external_data=False,
        )
    assert program is not None
    proto = program.model_proto
    for node in proto.graph.node:  # the exporter notes where each line of ours stands on this machine
        del node.metadata_props[:]
        node.doc_string = ""
    for part in (proto, proto.graph, *proto.graph.value_info, *proto.graph.input, *proto.graph.output):
        del part.metadata_props[:]
    for name, value in graph.metadata.items():
        proto.metadata_props.add(key=name, value=value)
    if precision == "int8":
        _round(proto.graph)
    return proto.SerializeToString()


@contextmanager
def _silent() -> Generator[None]:
    """Keep the exporter's remarks from the user: about packages it could use, and about its own ways."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def _round(graph: Any) -> None:
    """Store each matrix whose values have 8 bits so, with one scale for each row, and let the graph multiply them.

    The exporter may have turned a matrix. Rows are then its columns.
    """
    from onnx import helper, numpy_helper

    kept: list[Any] = []
    before: list[Any] = []

    def keep(name: str, values: Any) -> str:
        kept.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    for held in graph.initializer:
        values = numpy_helper.to_array(held)
        if values.dtype != np.float32 or values.ndim < 2 or (found := _rows_of(values)) is None:
            kept.append(held)
            continue
        rows, scales, is_turned = found
        name = held.name
        matrix = rows.reshape(len(scales), rows.shape[-1])
        given = [keep(f"{name} rows", matrix), keep(f"{name} scales", scales)]
        before.append(helper.make_node("DequantizeLinear", given, [f"{name} matrix"], axis=0))
        shape = keep(f"{name} shape", np.array(rows.shape, dtype=np.int64))
        before.append(helper.make_node("Reshape", [f"{name} matrix", shape], [f"{name} shaped" if is_turned else name]))
        if is_turned:
            axes = [*range(values.ndim - 2), values.ndim - 1, values.ndim - 2]
            before.append(helper.make_node("Transpose", [f"{name} shaped"], [name], perm=axes))
    nodes = [*before, *graph.node]
    del graph.initializer[:], graph.node[:]
    graph.initializer.extend(kept)
    graph.node.extend(nodes)


def _rows_of(values: Any) -> tuple[Any, Any, bool] | None:
    """Return rounded rows, their scales, and whether they were columns. None for values that are not rounded."""
    for is_turned in (False, True):
        rows = torch.from_numpy(np.array(values.swapaxes(-1, -2) if is_turned else values))
        held, scales = round_last_axis(rows)
        again = held.float().reshape(len(scales), -1) * scales[:, None]
        if torch.allclose(again, rows.reshape(len(scales), -1), rtol=1e-5, atol=0.0):
            return held.numpy(), scales.numpy(), is_turned
    return None


@torch.inference_mode()
def largest_difference(model: Seq2Seq, path: Path) -> float:
    """Return the largest difference of a log-probability or weight between a folded model and its graphs.

    Compared at several lengths and sizes of batches, over some steps with random tokens.
    """
    graph = GraphModel.load(path)
    drawn = np.random.default_rng(20261127)
    source_size, target_size = len(model.encoder.embedding.table), len(model.decoder.bias)  # pyright: ignore
    worst = 0.0
    for length in LENGTHS:
        for size in BATCHES:
            lengths = drawn.integers(1, length + 1, size)
            lengths[0] = length
            source = drawn.integers(2, source_size, (size, length))
            source[np.arange(length) >= lengths[:, None]] = 0
            encoded = model.encode(torch.from_numpy(source), torch.from_numpy(lengths))
            state = model.decoder.start(encoded)
            found = graph.encode(source, lengths)
            after = graph.decoder.start(found)
            real = encoded.mask[:, None, :, None].numpy()
            for name, attended in encoded.attended.items():
                worst = _worse(worst, np.asarray(attended.weights) * real, found.attended[name].weights * real)
            for _ in range(STEPS):
                tokens = drawn.integers(1, target_size, size)
                step = model.decoder.step(torch.from_numpy(tokens), state)
                other = graph.decoder.step(tokens, after)
                state, after = step.state, other.state
                worst = _worse(worst, step.logits.log_softmax(-1), graph.arrays.log_softmax(other.logits))
                for name, attended in step.attended.items():
                    weights = other.attended[name].weights  # the model's may have room behind the target
                    worst = _worse(worst, cast(Tensor, attended.weights)[..., : weights.shape[-1]], weights)
    return worst


def _worse(worst: float, wanted: Any, found: Any) -> float:
    difference = float(np.abs(np.asarray(wanted) - found).max())
    return max(worst, difference) if np.isfinite(difference) else np.inf
