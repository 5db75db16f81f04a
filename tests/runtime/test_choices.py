"""Which implementation is chosen of what was measured, and how that is kept."""

import json
from pathlib import Path

import pytest
import torch

from attentio.attention.kernels import backend
from attentio.errors import UsageError
from attentio.runtime import choices
from attentio.runtime.choices import ALTERNATIVES, DECODING, STANDARD, TRAINING, choose, forced, settle, using
from attentio.runtime.precision import has_fast_bf16, resolve_precision, slow_bf16

FORWARD = "forward, many rows"
MEASURED = {FORWARD: {"onednn": 3.0, "torch": 2.0}, TRAINING: {"fp32": 1.0, "bf16": 5.0}}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, and nothing that overrides what is measured."""
    monkeypatch.delenv("ATTENTIO_KERNELS", raising=False)
    monkeypatch.setattr(choices, "cache_folder", lambda: tmp_path / "cache")
    return tmp_path / "cache" / "kernels.json"


def test_the_fastest_is_chosen() -> None:
    assert choose({}) == STANDARD
    assert choose({FORWARD: {"onednn": 3.0, "torch": 2.0}}) == {**STANDARD, FORWARD: "torch"}
    assert choose({FORWARD: {"onednn": 2.0, "torch": 3.0}})[FORWARD] == "onednn"


@pytest.mark.parametrize("kind", ALTERNATIVES)
def test_a_small_gain_changes_nothing(kind: str) -> None:
    first, second = ALTERNATIVES[kind]
    assert choose({kind: {first: 1.0, second: 0.97}})[kind] == first
    assert choose({kind: {first: 1.0, second: 0.5}})[kind] == second
    assert choose({kind: {second: 0.5}}).get(kind) == STANDARD.get(kind)  # half of a measurement
    assert choose({kind: {first: 1.0, "of a later version": 0.1}}).get(kind) == STANDARD.get(kind)


def test_bf16_must_pay_for_what_it_converts() -> None:
    assert choose({TRAINING: {"fp32": 1.0, "bf16": 0.9}})[TRAINING] == "fp32"
    assert choose({TRAINING: {"fp32": 1.0, "bf16": 0.5}})[TRAINING] == "bf16"


def test_what_is_measured_once_is_kept(cache: Path) -> None:
    calls: list[int] = []

    def measure() -> tuple[choices.Seconds, bool]:
        calls.append(1)
        return MEASURED, True

    assert settle() == STANDARD  # nothing is measured by those who do not ask for it
    assert [settle("auto", measure)[FORWARD] for _ in range(2)] == ["torch", "torch"]
    assert len(calls) == 1
    assert settle()[FORWARD] == "torch"
    assert "threads" in cache.read_text(encoding="utf-8")
    held = {"another machine": {}, choices.machine(): {"x": {"y": "quick"}}}
    cache.write_text(json.dumps(held), encoding="utf-8")
    settle("auto", measure)
    assert len(calls) == 2  # what is no measurement counts as none
    assert "another machine" in cache.read_text(encoding="utf-8")


def test_a_busy_machine_is_measured_again_later(cache: Path) -> None:
    assert settle("auto", lambda: (MEASURED, False)) == STANDARD
    assert not cache.exists()
    assert settle("auto", lambda: (MEASURED, True))[FORWARD] == "torch"


def test_a_cache_that_cannot_be_written_stops_nothing(cache: Path) -> None:
    cache.parent.write_text("a file", encoding="utf-8")
    assert settle("auto", lambda: (MEASURED, True))[FORWARD] == "torch"


def test_other_threads_are_another_machine() -> None:
    settle("auto", lambda: (MEASURED, True))
    threads = torch.get_num_threads()
    torch.set_num_threads(threads + 1)
    try:
        assert settle() == STANDARD
    finally:
        torch.set_num_threads(threads)


def test_a_setting_wins_over_the_variable_and_both_over_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    settle("auto", lambda: (MEASURED, True))
    monkeypatch.setenv("ATTENTIO_KERNELS", "onednn")
    assert settle()[FORWARD] == "onednn"
    assert settle("torch")[FORWARD] == "torch"
    assert settle("standard") == STANDARD
    monkeypatch.setenv("ATTENTIO_KERNELS", "fast")
    with pytest.raises(UsageError, match="unknown kernels 'fast'"):
        settle()
    products = {kind for kind, name in (forced("torch") or {}).items() if name != STANDARD[kind]}
    assert products == {kind for kind in STANDARD if "gradient" in kind or kind.startswith(("forward", "sum and"))}


def test_choices_are_in_force_for_a_while() -> None:
    eager = {f"attention fp32, {pairs:,} pairs": "eager" for pairs in choices.PAIRS}
    few = backend.few_pairs(half=False)
    with using({FORWARD: "torch", "of another version": "x", TRAINING: "bf16", **eager}):
        assert {**STANDARD, FORWARD: "torch", TRAINING: "bf16", **eager} == choices.CHOSEN
        assert resolve_precision("auto", torch.device("cpu")) == "bf16"
        assert backend.few_pairs(half=False) == choices.MOST_PAIRS
    assert choices.CHOSEN == STANDARD
    assert backend.few_pairs(half=False) == few == backend.FEW_PAIRS
    assert backend.few_pairs(half=True) == backend.FEW_PAIRS_IN_HALF
    expected = "bf16" if has_fast_bf16(torch.device("cpu")) else "fp32"
    assert resolve_precision("auto", torch.device("cpu"), DECODING) == expected


def test_slow_bf16_is_said() -> None:
    device = torch.device("cpu")
    assert slow_bf16("bf16", device, TRAINING) is None
    settle("auto", lambda: (MEASURED, True))
    said = slow_bf16("bf16", device, TRAINING)
    assert said is not None
    assert "5.0 times as long as fp32" in said
    assert slow_bf16("fp32", device, TRAINING) is None
    assert slow_bf16("bf16", device, DECODING) is None
