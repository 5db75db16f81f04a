"""The device a model computes on, by name, and how to tell that its memory ran out."""

import torch

from attentio.errors import UsageError


def resolve_device(device: str) -> torch.device:
    """Return the device of that name. "auto" is the first of cuda, mps and cpu that this machine has.

    Raises UsageError for an unknown name and for a device that is not there.
    """
    if device != "auto":
        return _named_device(device)
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def _named_device(name: str) -> torch.device:
    try:
        device = torch.device(name)
    except RuntimeError:
        raise UsageError(f"unknown device {name!r}.", hint="One of: auto, cpu, cuda, cuda:1, mps.") from None
    there = {"cpu": 1, "cuda": torch.cuda.device_count(), "mps": int(torch.backends.mps.is_available())}
    if (device.index or 0) >= there.get(device.type, 0):
        raise UsageError(f"this machine has no device {name!r}.", hint="Try --device auto, and see `attentio doctor`.")
    return device


def is_out_of_memory(error: Exception) -> bool:
    """Return whether `error` says that memory ran out: torch has a class for it on a GPU, only words on a CPU."""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or "allocate memory" in str(error)
