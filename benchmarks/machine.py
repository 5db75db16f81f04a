"""What the figures of a benchmark were measured on."""

import os
import platform
import time
from pathlib import Path

import torch


def describe_machine() -> str:
    """Processor, cores, versions, threads, and what its matrix products reach, in one line.

    Processors of one name differ by a factor of two; the products, measured here and now, tell them apart.
    """
    device = f", {torch.cuda.get_device_name()}" if torch.cuda.is_available() else ", no GPU"
    products = ", ".join(f"{name} {gigaflops(dtype):,.0f}" for name, dtype in PRECISIONS.items())
    return (
        f"{_processor()}{device}, {os.cpu_count()} cores, {torch.get_num_threads()} threads, "
        f"Python {platform.python_version()}, torch {torch.__version__}, load {os.getloadavg()[0]:.1f}, "
        f"matrix products on the CPU in GFLOP/s: {products}"
    )


PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16}


def gigaflops(dtype: torch.dtype, *, size: int = 768, seconds: float = 0.2) -> float:
    """The best rate of a product of square matrices within so many seconds."""
    left, right = (torch.randn(size, size).to(dtype) for _ in range(2))
    torch.mm(left, right)  # what has to be prepared once
    best, end = float("inf"), time.perf_counter() + seconds
    while (began := time.perf_counter()) < end:
        torch.mm(left, right)
        best = min(best, time.perf_counter() - began)
    return 2 * size**3 / best / 1e9


def _processor() -> str:
    """The name, and on Linux with it the family and the model."""
    wanted = ("model name", "cpu family", "model")
    known: dict[str, str] = {}
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            key, _, value = line.partition(":")
            if key.strip() in wanted:
                known.setdefault(key.strip(), value.strip())
    except OSError:
        pass
    if "model name" not in known:
        return platform.processor() or platform.machine()
    if "cpu family" not in known:
        return known["model name"]
    return f"{known['model name']} (family {known['cpu family']}, model {known.get('model', '?')})"
