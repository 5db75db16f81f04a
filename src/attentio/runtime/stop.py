"""Asking a training to halt, by Ctrl-C or SIGTERM."""

import signal
from types import FrameType


class StopRequest:
    """While active, SIGINT and SIGTERM ask for a halt at the next update; a second SIGINT is not caught."""

    def __init__(self) -> None:
        self.signal: int | None = None

    def __enter__(self) -> "StopRequest":
        self._before = {number: signal.signal(number, self._note) for number in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, _frame: FrameType | None) -> None:
        self.signal = number
        signal.signal(signal.SIGINT, signal.default_int_handler)

    def requested(self) -> bool:
        return self.signal is not None
