"""The Triton kernel against the plain formula: in Triton's interpreter anywhere, on the GPU where there is one."""

import os
import subprocess
import sys
from importlib.util import find_spec

import pytest
import torch

CHECK = """
import sys
import torch
from attentio.attention.score import additive
from attentio.attention.triton_additive import additive as fused

device = sys.argv[1]
shapes = [(2, 1, 5, 7, 24), (1, 2, 1, 9, 16), (2, 3, 8, 8, 67), (1, 1, 17, 1, 1), (3, 2, 9, 11, 64)]
if device == "cuda":
    shapes += [(8, 4, 65, 33, 130), (2, 1, 256, 256, 256)]
for batch, heads, queries, keys, size in shapes:
    for dtype, near in ((torch.float32, 1e-5), (torch.bfloat16, 2e-2)):
        torch.manual_seed(0)
        sizes = ((batch, heads, queries, size), (batch, heads, keys, size), (heads, size))
        operands = [torch.randn(s, device=device).to(dtype).requires_grad_() for s in sizes]
        exact = [x.detach().double().requires_grad_() for x in operands]
        given, expected = fused(*operands), additive(*exact)
        upstream = torch.randn_like(given)
        gradients = torch.autograd.grad(given, operands, upstream)
        expected_gradients = torch.autograd.grad(expected, exact, upstream.double())
        torch.testing.assert_close(given.double(), expected, atol=near, rtol=near)
        for one, other in zip(gradients, expected_gradients, strict=True):
            assert one.dtype == dtype
            scale = 1 + other.abs().max().item()
            torch.testing.assert_close(one.double() / scale, other / scale, atol=near, rtol=near)
print("agrees")
"""


def run(device, **environment):
    command = [sys.executable, "-c", CHECK, device]
    return subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, timeout=280)


@pytest.mark.slow
@pytest.mark.skipif(find_spec("triton") is None, reason="triton is not installed")
def test_the_kernel_agrees_with_the_formula_in_the_interpreter():
    result = run("cpu", TRITON_INTERPRET="1", OMP_NUM_THREADS="1")
    assert result.stdout == "agrees\n", result.stderr


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
def test_the_kernel_agrees_with_the_formula_on_the_gpu():
    result = run("cuda")
    assert result.stdout == "agrees\n", result.stderr
