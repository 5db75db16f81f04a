"""Training gives the same bits with one thread and with two, and one thread works where two would wait."""

from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor, nn

from attentio.attention.score import Cosine
from attentio.model.layers import LayerNorm
from attentio.runtime.waiting import WATCH, Mode, one_thread
from attentio.train.state import norm_of
from attentio.train.step import BusyThreads

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def busy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(WATCH, "mode", Mode(sleeping=True))


def gradients(module: nn.Module, computed: Tensor) -> list[Tensor]:
    module.zero_grad(set_to_none=True)
    generator = torch.Generator().manual_seed(3)
    (computed * torch.randn(computed.shape, generator=generator)).sum().backward()
    return [parameter.grad.clone() for parameter in module.parameters() if parameter.grad is not None]


def same_with_one(compute: Callable[[], list[Tensor]]) -> bool:
    two = compute()
    with one_thread():
        return all(torch.equal(a, b) for a, b in zip(two, compute(), strict=True))


def test_gradients_of_layer_normalization() -> None:
    x = torch.randn(61, 29, 130, generator=torch.Generator().manual_seed(1))
    norm, plain = LayerNorm(130), nn.LayerNorm(130)
    assert same_with_one(lambda: gradients(norm, norm(x)))
    for mine, torchs in zip(gradients(norm, norm(x)), gradients(plain, plain(x)), strict=True):
        torch.testing.assert_close(mine, torchs, rtol=1e-4, atol=1e-3)
    x = x[:2, :3].requires_grad_()
    assert torch.equal(*(torch.autograd.grad(module(x)[..., 7].sum(), x)[0] for module in (norm, plain)))
    assert torch.equal(norm(x), norm.eval()(x))


def test_the_gradient_of_a_temperature() -> None:
    score = Cosine(40, 40)  # of one head: torch would share the sum among threads
    query = torch.randn(7, 1, 261, 40, generator=torch.Generator().manual_seed(1))
    assert same_with_one(lambda: gradients(score, score.project(query)))


def test_the_norm_of_all_gradients() -> None:
    generator = torch.Generator().manual_seed(1)
    shapes = (2631, 256), (31, 5, 700)
    # Some gradients are stored by columns. torch shares only their sums among threads.
    some = [[torch.randn(shape, generator=generator).mT for shape in shapes] for _ in range(9)]
    assert same_with_one(lambda: [norm_of(parts) for parts in some])
    parts = some[0]
    expected = torch.cat([part.flatten() for part in parts]).double().norm()
    torch.testing.assert_close(norm_of(parts).double(), expected, rtol=1e-6, atol=0)


class Attempts:
    """An update of one weight by what `value` says. It draws a random number, as dropout does."""

    def __init__(self, value: Callable[[], float]) -> None:
        self.weight = nn.Parameter(torch.zeros(2))
        self.value = value
        self.threads: list[int] = []
        self.drawn: list[float] = []

    def __call__(self) -> None:
        self.threads.append(torch.get_num_threads())
        self.drawn.append(torch.rand(()).item())
        (self.weight * self.value() * self.drawn[-1]).sum().backward()

    def clear(self) -> None:
        self.weight.grad = None

    def work(self, threads: BusyThreads) -> int:
        with threads.at_work(self, [self.weight], self.clear):
            assert self.weight.grad is None
            self()
            self.clear()
        return self.threads[-1]


def test_on_a_quiet_machine_all_threads_work() -> None:
    attempts = Attempts(lambda: 1.0)
    assert attempts.work(BusyThreads(CPU, 1)) == 2
    assert attempts.threads == [2]


@pytest.mark.usefixtures("busy")
def test_on_a_busy_machine_one_works_where_bits_are_the_same() -> None:
    attempts, threads = Attempts(lambda: 1.0), BusyThreads(CPU, 1)
    torch.manual_seed(5)
    expected = [torch.rand(()).item(), torch.rand(()).item()]
    torch.manual_seed(5)
    assert [attempts.work(threads), attempts.work(threads)] == [1, 1]
    assert attempts.threads == [2, 1, 1, 1], "tried once"
    assert attempts.drawn[2:] == expected, "what was tried drew no numbers"
    assert torch.get_num_threads() == 2


@pytest.mark.usefixtures("busy")
@pytest.mark.parametrize("fault", ["other bits", "no memory"])
def test_two_go_on_where_one_gives_other_bits_or_may_not_be_tried(fault: str) -> None:
    def value() -> float:
        if fault == "no memory" and len(attempts.threads) == 1:
            raise MemoryError
        return 1.0 + 1e-7 * torch.get_num_threads()

    attempts, threads = Attempts(value), BusyThreads(CPU, 1)
    assert [attempts.work(threads), attempts.work(threads)] == [2, 2]
    assert threads.same_bits is False


@pytest.mark.usefixtures("busy")
def test_other_errors_are_raised_and_leave_nothing_behind() -> None:
    def fail() -> float:
        raise ValueError("wrong")

    attempts = Attempts(fail)
    with pytest.raises(ValueError, match="wrong"):
        attempts.work(BusyThreads(CPU, 1))
    assert attempts.weight.grad is None


@pytest.mark.usefixtures("busy")
def test_ranks_and_other_devices_and_more_threads_are_left_alone() -> None:
    cases = [BusyThreads(CPU, 2), BusyThreads(torch.device("cuda"), 1)]
    torch.set_num_threads(3)
    cases.append(BusyThreads(CPU, 1))
    for threads in cases:
        attempts = Attempts(lambda: 1.0)
        attempts.work(threads)
        assert len(attempts.threads) == 1
        assert threads.same_bits is False
