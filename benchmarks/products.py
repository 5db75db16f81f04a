"""What would a training take if its steps were linear products alone? The machine's limit, with the run's own kernels.

    python benchmarks/products.py RUN --skip 50

The products of each update of a finished RUN, after the first ones, are noted: forwards and both backward products,
with their shapes, layouts and precision. Then they are computed again, alone and in the same order, on random operands.
Products of attention are left out. The products of an LSTM are those of its written-out form.
"""

import argparse
import json
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from attentio.data.batch import collate
from attentio.data.prepare import PreparedData
from attentio.model.families import build_model
from attentio.runtime.choices import LSTM, use
from attentio.runtime.precision import arithmetic, resolve_precision
from attentio.train.folder import Run
from attentio.train.settings import load_config
from attentio.train.state import LENGTH_MULTIPLE, batches
from attentio.train.step import TrainingStep

CPU = torch.device("cpu")
PRODUCTS = {"aten::mm", "aten::addmm", "mkldnn::_linear_pointwise"}


class Recorder(TorchDispatchMode):
    """Notes every linear product, with operands of the same shapes and layouts. Operands that look alike are one."""

    def __init__(self) -> None:
        super().__init__()
        self.products: list[tuple[Callable[..., object], list[Any], dict[str, Any]]] = []
        self.operands: dict[object, Tensor] = {}

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> object:
        if func.name().partition(".")[0] in PRODUCTS:
            named = {name: self._operand(value) for name, value in (kwargs or {}).items()}
            self.products.append((func, [self._operand(value) for value in args], named))
        return func(*args, **(kwargs or {}))

    def _operand(self, value: object) -> object:
        if not isinstance(value, Tensor):
            return value
        look = value.shape, value.stride(), value.dtype
        if look not in self.operands:
            reach = 1 + sum((size - 1) * step for size, step in zip(value.shape, value.stride(), strict=True))
            self.operands[look] = torch.randn(reach).to(value.dtype).as_strided(value.shape, value.stride())
        return self.operands[look]


def compute(products: list[tuple[Callable[..., object], list[Any], dict[str, Any]]]) -> float:
    """The seconds that these products take."""
    began = time.perf_counter()
    for product, operands, named in products:
        product(*operands, **named)
    return time.perf_counter() - began


def measure(run: Run, skip: int) -> dict[str, float]:
    """Seconds of the products alone, and the target tokens of their updates."""
    events = [json.loads(line) for line in run.log.read_text(encoding="utf-8").splitlines()]
    use({**events[0]["kernels"], LSTM: "written out"})
    config, data = load_config(run.config), PreparedData.load(run.data)
    model = build_model(config.model, config.attention, *data.vocab_sizes, self_attention=config.self_attention)
    step = TrainingStep(model.train(), config.train)
    precision = resolve_precision(config.train.precision, CPU)
    seconds, tokens = 0.0, 0
    last = max(event["step"] for event in events if event["event"] == "step")
    for update in islice(batches(data.train, config.train).shares(), skip, last):
        for indices, _ in update:
            batch, recorder = collate(data.train, indices, length_multiple=LENGTH_MULTIPLE), Recorder()
            with recorder:
                with arithmetic(precision, CPU):
                    loss = step(batch)
                loss.total.backward()
            model.zero_grad(set_to_none=True)
            with torch.no_grad():
                compute(recorder.products)  # prepares each shape
                seconds += compute(recorder.products)
            tokens += batch.num_target_tokens
    return {"seconds": seconds, "target_tokens": tokens}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("run", type=Path, help="run folder of a finished training")
    parser.add_argument("--skip", type=int, default=50, help="updates at the beginning that are left out")
    arguments = parser.parse_args()
    print(json.dumps(measure(Run(arguments.run), arguments.skip)))
