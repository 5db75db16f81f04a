"""How a process keeps memory that it will want again at once. Nothing here imports torch."""

import ctypes
import gc
import os
import sys

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # of glibc's malloc.h


def keep_freed_memory() -> None:
    """Ask glibc not to give freed memory back to the system, which would return it page by page."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, 32 << 20)  # the most it takes: larger blocks come and go
        mallopt(_M_TRIM_THRESHOLD, -1)


def keep_prepared_products() -> None:
    """Let oneDNN keep what it prepares for each shape of a matrix product. Only before torch is imported.

    Batches come in many shapes, and the library's default keeps too few.
    """
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "16384")


def collect_garbage_rarely() -> None:
    """Look for garbage less often. Torch leaves a million objects that live to the end.

    Walking over them at Python's default pace is a fifth of the time of a short command.
    """
    gc.set_threshold(100_000, 50, 1_000)
