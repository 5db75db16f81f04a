"""Runs a program that trains with torch in this process and halts it after its first update, saying so.

    python first_update.py MODULE:FUNCTION [ARGUMENT ...]

Needs nothing but torch, so that any interpreter can run it.
"""

import importlib
import os
import sys
from typing import Any

from torch.optim.optimizer import register_optimizer_step_post_hook


def _halt(*_: Any) -> None:
    print("first update", flush=True)
    os._exit(0)


if __name__ == "__main__":
    module, _, function = sys.argv[1].partition(":")
    sys.argv = sys.argv[1:]
    register_optimizer_step_post_hook(_halt)
    getattr(importlib.import_module(module), function)()
