"""Files that torch has pickled, opened by its reader for tensors and plain values. No code of a file is run."""

import pickle
from argparse import Namespace
from pathlib import Path
from typing import Any

import torch

from attentio.errors import ModelError


def load_pickled(path: Path) -> Any:
    """Return what a file holds. Raises ModelError for what is damaged, or more than tensors and plain values."""
    try:
        with torch.serialization.safe_globals([Namespace]):  # OpenNMT-py keeps its options in one
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        found = str(error).split("GLOBAL ")
        what = found[1].split()[0] if len(found) > 1 else "what is no tensor"
        raise ModelError(
            f"{path} holds {what}, which could run code, and is not opened.", code="E_IMPORT_PICKLE", file=path
        ) from None
    except (RuntimeError, EOFError, ValueError, KeyError, OSError) as error:
        said = str(error).strip().split("\n")[0][:100]
        raise ModelError(f"{path} is no whole file of torch ({said}).", code="E_MODEL_CORRUPT", file=path) from None
