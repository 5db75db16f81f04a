"""Devices by name."""

import pytest
import torch

from attentio.errors import UsageError
from attentio.runtime.device import is_out_of_memory, resolve_device


def test_devices() -> None:
    assert resolve_device("cpu") == torch.device("cpu")
    assert resolve_device("auto").type in ("cpu", "cuda", "mps")
    with pytest.raises(UsageError, match="unknown device 'tpu9'"):
        resolve_device("tpu9")
    with pytest.raises(UsageError, match="this machine has no device 'cuda:99'"):
        resolve_device("cuda:99")


def test_out_of_memory_is_told_from_other_errors() -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(1 << 60)
    assert is_out_of_memory(caught.value)
    assert is_out_of_memory(torch.OutOfMemoryError())
    assert not is_out_of_memory(RuntimeError("sizes differ"))
