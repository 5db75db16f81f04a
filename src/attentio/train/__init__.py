"""Training: the objective, the learning-rate schedule, checkpoints that survive anything, and the loop.

The room can be called: `attentio.train(data, out)` trains, as `attentio train` does. See `run.train_files`.
"""

import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from attentio.train.run import TrainResult


class _CallableRoom(ModuleType):
    """A module that can be called. `attentio.train` names the room and the function alike."""

    def __call__(self, *args: Any, **options: Any) -> "TrainResult":
        """Train a translator. See `attentio.train.run.train_files` for the arguments."""
        from attentio.train.run import train_files

        return train_files(*args, **options)


sys.modules[__name__].__class__ = _CallableRoom
