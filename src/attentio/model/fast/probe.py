"""What the alternatives of `runtime/choices.py` take on this machine, measured in at most 0.3 s.

All of them take turns, a call each, until the time is over. The least time of each counts.
"""

import time
from collections.abc import Callable, Iterator, Mapping

import torch
from torch import Tensor
from torch.nn import functional as F

from attentio.attention import Attention
from attentio.model.fast import linear
from attentio.model.fast.loss import smoothed_cross_entropy
from attentio.model.fast.recurrence import LSTM, CellState
from attentio.runtime import choices
from attentio.runtime.choices import DECODING, FEW, MANY, PAIRS, TRAINING, Choices, Seconds
from attentio.runtime.waiting import read_turns, turns_between

SECONDS = 0.25  # after which it ends with the call that goes on
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
ROWS = {FEW: 64, MANY: 384}
WIDTH, WIDE = 256, 512  # of a matrix
FEWEST_ROWS = 8  # of a product with packed weights, as in a search
SENTENCES, STEPS, STATE = 64, 4, 128  # of the recurrent layer
VOCABULARY = 1000
HEAD, PRODUCTS_OF_PAIRS = 64, 2**17  # numbers in a head, and pairs multiplied at once in the measure of attention
TURN = 3e-4  # seconds for which one of them is called again and again
ROUNDS = 12  # at most
DISTURBED = 0.2  # share of the time without a core, from which the least times are not believed


def settle(setting: str = "auto") -> Choices:
    """Return the choices for this machine, measured where they are not known, see `choices.settle`."""
    return choices.settle(setting, measure)


def measure() -> tuple[Seconds, bool]:
    """Return the seconds of each alternative, by kind of work, and whether the machine was quiet enough for them."""
    # The processor time of one thread is not disturbed by others. Of several threads, only the clock knows.
    clock = time.thread_time if torch.get_num_threads() == 1 else time.perf_counter
    least: dict[tuple[str, str], float] = {}
    with torch.random.fork_rng(devices=()), choices.using(choices.STANDARD):
        torch.manual_seed(1)
        calls = [(kind, name, call) for kind, alternatives in _work() for name, call in alternatives.items()]
        before, started, ran = read_turns(), time.perf_counter(), time.thread_time()
        end = started + SECONDS
        for number, (kind, name, call) in enumerate(calls * (1 + ROUNDS)):
            took = _least(call, clock, TURN if number >= len(calls) else 0.0)
            if number >= len(calls):  # the first round prepared each product
                least[kind, name] = min(took, least.get((kind, name), took))
            if time.perf_counter() > end:
                break
        got = (time.thread_time() - ran) / (time.perf_counter() - started)
        lost = max(1 - got, turns_between(before, read_turns()).share)
    found: dict[str, dict[str, float]] = {}
    for (kind, name), took in least.items():
        found.setdefault(kind, {})[name] = took
    return _with_arithmetic(found), len(least) == len(calls) and (lost < DISTURBED or clock is time.thread_time)


def _least(call: Callable[[], object], clock: Callable[[], float], seconds: float) -> float:
    """Return the least time of one call, of as many as begin within so many seconds."""
    least, first = float("inf"), clock()
    while least == float("inf") or clock() - first < seconds:
        began = clock()
        call()
        least = min(least, clock() - began)
    return least


def _with_arithmetic(found: dict[str, dict[str, float]]) -> Seconds:
    """Add the least that products take in each precision, in place of what was measured for that alone."""
    for purpose, rows in ((TRAINING, MANY), (DECODING, FEW)):
        plain = {"fp32": found.get(f"forward, {rows}", {}), "bf16": found.pop(f"bf16, {rows}", {})}
        if all(plain.values()):
            found[purpose] = {precision: min(took.values()) for precision, took in plain.items()}
    return found


def _work() -> Iterator[tuple[str, Mapping[str, Callable[[], object]]]]:
    """Yield each kind of work with its alternatives."""
    weight = torch.randn(WIDE, WIDTH)
    bias, rounded = torch.randn(WIDE), weight.bfloat16()
    for rows, count in ROWS.items():
        inputs, gradient, added = torch.randn(count, WIDTH), torch.randn(count, WIDE), torch.randn(count, WIDE)
        of_half = inputs.bfloat16()
        half = lambda x=of_half: F.linear(x, rounded)  # noqa: E731
        yield f"bf16, {rows}", {"plain": half}
        torchs: dict[str, Callable[[], object]] = {
            "forward": lambda x=inputs: F.linear(x, weight, bias),
            "input gradient": lambda g=gradient: g @ weight,
            "weight gradient": lambda g=gradient, x=inputs: g.t() @ x,
            "sum and product": lambda a=added, x=inputs: torch.addmm(a, x, weight.t()),
        }
        if not linear.HAS_ONEDNN:
            yield f"forward, {rows}", {"torch": torchs["forward"]}
            continue
        onednns: dict[str, Callable[[], object]] = {
            "forward": lambda x=inputs: linear.onednn(x, weight, bias),
            "input gradient": lambda g=gradient: linear.onednn(g, weight.t(), None),
            "weight gradient": lambda g=gradient, x=inputs: linear.onednn(g.t(), x.t(), None),
            "sum and product": lambda a=added, x=inputs: linear.onednn_binary(x, a, weight, None, "add"),
        }
        for kind, call in torchs.items():
            yield f"{kind}, {rows}", {"onednn": onednns[kind], "torch": call}
    for rows, count in (ROWS | {FEW: FEWEST_ROWS}).items():
        for precision, dtype in DTYPES.items():
            inputs, matrix = torch.randn(count, WIDTH, dtype=dtype), weight.to(dtype)
            packed = linear.pack(matrix)
            if packed is not None:
                yield (
                    f"packed {precision}, {rows}",
                    {
                        "packed": lambda x=inputs, packed=packed: linear.onednn(x, packed, None),
                        "plain": lambda x=inputs, matrix=matrix: F.linear(x, matrix),
                    },
                )
    yield from _attention()
    yield choices.LOSS, _loss()
    yield choices.LSTM, _lstm()


def _precisions() -> tuple[str, ...]:
    """Return the precisions in which attention is measured. Without products of its own, bf16 is too slow."""
    supported = linear.HAS_ONEDNN and torch.ops.mkldnn._is_mkldnn_bf16_supported()  # pyright: ignore[reportPrivateUsage]
    return ("fp32", "bf16") if supported else ("fp32",)


def _attention() -> Iterator[tuple[str, Mapping[str, Callable[[], object]]]]:
    for precision in _precisions():
        for pairs in PAIRS:
            length, kind = round(pairs**0.5), f"attention {precision}, {pairs:,} pairs"
            shape = max(1, PRODUCTS_OF_PAIRS // pairs), length, HEAD
            operands = [torch.randn(shape, dtype=DTYPES[precision], requires_grad=True) for _ in range(3)]
            mask = torch.ones(shape[:2], dtype=torch.bool)
            yield kind, {name: _attend(name, mask, operands) for name in choices.ALTERNATIVES[kind]}


def _attend(backend: str, mask: Tensor, operands: list[Tensor]) -> Callable[[], object]:
    attention = Attention(HEAD, HEAD, score="scaled_dot", dropout=0.1, backend=backend)

    def run() -> object:
        query, keys, values = operands
        outputs = attention(query, attention.prepare(keys, values, mask), need_weights=False).context
        return torch.autograd.grad(outputs.float().sum(), operands)

    return run


def _loss() -> Mapping[str, Callable[[], object]]:
    logits = torch.randn(ROWS[MANY], VOCABULARY, requires_grad=True)
    targets = torch.arange(1, ROWS[MANY] + 1) % VOCABULARY

    def run(name: str) -> object:
        with choices.using({choices.LOSS: name}):
            costs = smoothed_cross_entropy(logits, targets, len(targets), 0.1)
        return torch.autograd.grad(costs.mean(), logits)

    return _alternatives(choices.LOSS, run)


def _lstm() -> Mapping[str, Callable[[], object]]:
    layer = LSTM(STATE, STATE)
    inputs = torch.randn(STEPS, SENTENCES, STATE, requires_grad=True)
    zeros = torch.zeros(SENTENCES, STATE)

    def run(name: str) -> object:
        with choices.using({choices.LSTM: name}):
            outputs, _ = layer(inputs, CellState(zeros, zeros))
        return torch.autograd.grad(outputs.sum(), [inputs, *layer.parameters()])

    return _alternatives(choices.LSTM, run)


def _alternatives(kind: str, run: Callable[[str], object]) -> Mapping[str, Callable[[], object]]:
    return {name: lambda name=name: run(name) for name in choices.ALTERNATIVES[kind]}
