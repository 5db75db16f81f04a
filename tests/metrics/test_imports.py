"""Traces, measurements, views and comparisons are looked at without loading a framework."""

import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    "module",
    [
        "attentio.trace",
        "attentio.metrics",
        "attentio.metrics.quality",
        "attentio.metrics.significance",
        "attentio.metrics.alignment",
        "attentio.metrics.focus",
        "attentio.view",
        "attentio.view.terminal",
        "attentio.view.heatmap",
        "attentio.experiment.runner",
    ],
)
def test_torch_is_not_imported(module: str) -> None:
    code = f"import sys, {module}; raise SystemExit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_trace_needs_numpy_alone() -> None:
    code = (
        "import sys; before = set(sys.modules); import attentio.trace;"
        "loaded = {name.split('.')[0] for name in set(sys.modules) - before} - sys.stdlib_module_names;"
        "raise SystemExit(repr(loaded) if loaded - {'attentio', 'numpy'} else 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
