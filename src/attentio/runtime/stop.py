"""Asking a training to halt, by Ctrl-C, SIGTERM or a terminal that closes."""

import signal
import threading
from types import FrameType

_SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]


class StopRequest:
    """While active, SIGINT, SIGTERM and SIGHUP ask for a halt at the next update. A second SIGINT is not caught."""

    def __init__(self) -> None:
        self.signal: int | None = None

    def __enter__(self) -> "StopRequest":
        here = threading.current_thread() is threading.main_thread()  # no other thread may handle signals
        # Under nohup, SIGHUP stays ignored.
        heeded = [number for number in _SIGNALS if here and signal.getsignal(number) != signal.SIG_IGN]
        self._before = {number: signal.signal(number, self._note) for number in heeded}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, _frame: FrameType | None) -> None:
        self.signal = number
        signal.signal(signal.SIGINT, signal.default_int_handler)

    def requested(self) -> bool:
        return self.signal is not None
