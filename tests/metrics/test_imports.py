"""Traces, measurements, views and comparisons are looked at without loading a framework."""

import subprocess
import sys

import pytest

MODULES = [
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
]


@pytest.mark.slow
def test_torch_is_not_imported() -> None:
    code = "import importlib, sys\nfor name in sys.argv[1:]:\n  importlib.import_module(name)\n"
    code += "  if 'torch' in sys.modules: raise SystemExit(f'{name} imports torch')"
    subprocess.run([sys.executable, "-c", code, *MODULES], check=True)


def test_a_trace_needs_numpy_alone() -> None:
    code = (
        "import sys; before = set(sys.modules); import attentio.trace;"
        "loaded = {name.split('.')[0] for name in set(sys.modules) - before} - sys.stdlib_module_names;"
        "raise SystemExit(repr(loaded) if loaded - {'attentio', 'numpy'} else 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
