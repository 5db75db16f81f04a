"""The Triton kernel: `kernel_checks.py` in Triton's interpreter anywhere, and on the GPU where there is one."""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch

from attentio.attention import Attention

CHECKS = Path(__file__).with_name("kernel_checks.py")
without_triton = pytest.mark.skipif(find_spec("triton") is None, reason="triton is not installed")


def run(*command, **environment):
    environment = os.environ | {"OMP_NUM_THREADS": "1"} | environment
    return subprocess.run([sys.executable, *command], env=environment, capture_output=True, text=True)


def check(**environment):
    return run("-m", "pytest", "-q", "-p", "no:cacheprovider", str(CHECKS), **environment)


@pytest.mark.slow
@without_triton
def test_the_kernel_agrees_with_the_formula_in_the_interpreter():
    result = check(TRITON_INTERPRET="1")
    assert result.returncode == 0, result.stdout


@pytest.mark.gpu
@without_triton
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
def test_the_kernel_agrees_with_the_formula_on_the_gpu():
    result = check()
    assert result.returncode == 0, result.stdout


COMPILE = """
import triton
import triton.language as tl
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from attentio.attention.kernels.triton_additive import KEYS, QUERIES, UNITS, backward_kernel, forward_kernel

tiles = {"tile_queries": QUERIES, "tile_own": QUERIES, "tile_keys": KEYS, "tile_other": KEYS, "tile_units": UNITS}
for kernel, given in ((forward_kernel, ("query", "keys", "v")), (backward_kernel, ("own", "other"))):
    for kind, precision in (("fp32", tl.float32), ("bf16", tl.float32), ("fp64", tl.float64)):
        # A size or stride of 1 Triton makes a constant.
        constants = {name: tiles[name] for name in kernel.arg_names if name in tiles}
        constants |= {"precision": precision} | {n: 1 for n in ("heads", "own_stride") if n in kernel.arg_names}
        pointers = dict.fromkeys(given, f"*{kind}")
        pointers |= dict.fromkeys(("scores", "gradient", "of_own", "of_v"), f"*{precision}")
        signature = {n: "constexpr" if n in constants else pointers.get(n, "i32") for n in kernel.arg_names}
        compiled = triton.compile(ASTSource(kernel, signature, constants), target=GPUTarget("cuda", 90, 32))
        assert compiled.asm["cubin"]
print("compiled")
"""


@pytest.mark.slow
@without_triton
def test_the_kernel_compiles_for_a_gpu_that_need_not_be_there(tmp_path):
    """What the interpreter forgives, like a shape known only at run time, the compiler does not."""
    result = run("-c", COMPILE, TRITON_CACHE_DIR=str(tmp_path), TRITON_INTERPRET="0")
    assert result.stdout == "compiled\n", result.stderr


@pytest.mark.parametrize("training", [True, False])
def test_asked_for_where_it_cannot_run_it_says_so_in_one_line(training):
    attention = Attention(8, 8, score="additive", backend="triton").train(training)
    query, memory = torch.randn(2, 5, 8), attention.prepare(torch.randn(2, 7, 8))
    why = "triton is not installed: install it" if find_spec("triton") is None else "not on a CUDA device: move them"
    for call in (attention, attention.explain):
        with pytest.raises(ValueError, match=rf"^backend 'triton' cannot run: .*{why}.*, or use 'auto' or 'chunked'$"):
            call(query, memory)


@pytest.mark.slow
def test_importing_attention_does_not_import_triton():
    result = run("-c", "import sys, attentio.attention; print('triton' in sys.modules)")
    assert result.stdout == "False\n", result.stderr
