"""What the log of a training says, and how long the rest will take."""

import json
from pathlib import Path

import pytest

from attentio.experiment.progress import Clock, read_log


def test_a_log_is_read_once_for_each_step(tmp_path: Path) -> None:
    """After an interruption some steps are done again, and a line may be broken off."""
    log = tmp_path / "log.jsonl"
    first = {"event": "step", "step": 10, "seconds": 1.0, "tokens_per_second": 100, "target_tokens": 90}
    events = [
        first,
        {"event": "evaluation", "step": 10, "seconds": 1.5, "dev_chrf": 5.0, "target_tokens": 90},
        {**first, "step": 20, "seconds": 2.0, "tokens_per_second": 900},
        {**first, "step": 20, "seconds": 2.5, "tokens_per_second": 300},
        {"event": "evaluation", "step": 20, "seconds": 3.0, "dev_chrf": 8.0, "target_tokens": 180},
        {"event": "note", "text": "out of memory"},
    ]
    lines = [json.dumps(event) for event in events]
    log.write_text(
        "\n".join([lines[0], lines[1], lines[2], lines[2][:20] + lines[3], *lines[3:]]) + "\n", encoding="utf-8"
    )
    found = read_log(log)
    assert (found.steps, found.training_seconds, found.tokens_per_second) == (20, 3.0, 200.0)
    assert [(point.step, point.seconds, point.chrf) for point in found.curve] == [(10, 1.5, 5.0), (20, 3.0, 8.0)]
    assert read_log(tmp_path / "none").steps is None


def test_how_long_it_will_take(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("attentio.experiment.progress.time.monotonic", lambda: now[0])
    clock = Clock(4, None)
    clock.begin(0)
    assert clock.place(0, 0.0) == ("?", 0.0)
    now[0] += 30
    assert clock.place(0, 0.5) == ("03:30", 0.125)  # 30 s for half of one: 30 more, and three times 60
    now[0] += 30
    clock.end(0)
    clock.begin(1)
    now[0] += 15
    assert clock.place(1, 0.25) == ("02:45", 0.3125)
    assert clock.running() == [1]
    long = Clock(2, 7200.0)
    long.begin(0)
    assert long.place(0, 0.0)[0].startswith("4:00:")


def test_how_long_it_will_take_when_several_run_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("attentio.experiment.progress.time.monotonic", lambda: 0.0)
    clock = Clock(6, 60.0, at_once=2)
    clock.begin(0)
    clock.begin(1)
    assert clock.place(0, 0.5) == ("02:45", 0.5 / 6)  # five and a half times 60, two at a time
    assert clock.place(1, 0.5) == ("02:30", 1 / 6)
    clock.end(0)
    assert clock.running() == [1]
    assert clock.place(1, 1.0)[1] < 2 / 6  # it has not ended yet
