"""Torch without its compiler's tables: it translates the same, and the compiler still works."""

import subprocess
import sys

import pytest
import torch

from attentio.runtime import compiler


def test_where_torch_is_imported_nothing_happens() -> None:
    before, shapes = list(sys.meta_path), sys.modules["torch._meta_registrations"]
    compiler.put_off()
    assert sys.meta_path == before
    assert sys.modules["torch._meta_registrations"] is shapes
    assert torch.empty(2, device="meta").shape == (2,)


@pytest.mark.slow
def test_the_tables_come_with_the_compiler() -> None:
    code = """
import sys
from attentio.runtime import compiler
compiler.put_off()
import torch
table = "torch._meta_registrations"
assert "meta_index_Tensor" not in vars(sys.modules[table]), "the tables were imported: put_off has no use"
doubled = torch.compile(lambda x: (x @ x).softmax(-1).sum(), backend="eager")
assert abs(doubled(torch.ones(3, 3)) - 3) < 1e-6
assert sys.modules[table].meta_index_Tensor is torch._meta_registrations.meta_index_Tensor
"""
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_what_was_put_off_comes_when_it_is_asked_for() -> None:
    code = """
import sys
from attentio.runtime import compiler
compiler.put_off()
import torch
assert "torch.export.unflatten" not in sys.modules, "export was imported: put_off has no use"
assert torch.export.Dim("batch").__name__ == "batch"
assert torch._meta_registrations.meta_index_Tensor.__module__ == "torch._meta_registrations"
import torch.export.unflatten
assert sys.modules["torch.export"] is torch.export
"""
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
