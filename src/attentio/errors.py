"""Errors a user can mend: one line of what and where, a hint of how, a stable code and an exit status.

Whatever goes wrong because of what the user gave raises one of these, and `cli` prints it and exits. Mistakes in the
program stay ordinary Python exceptions.
"""

import re
from pathlib import Path

STATUS_FILE = "ATTENTIO_STATUS_FILE"  # an environment variable: where a process that is started leaves its status
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


class AttentioError(Exception):
    """An error the user can mend. `message` says what and where, `hint` says how, and `code` is stable for scripts.

    Both are one line: control characters become U+FFFD.
    """

    exit_status = 1
    code = "E_INTERNAL"

    def __init__(
        self,
        message: str,
        *,
        hint: str | None = None,
        code: str | None = None,
        file: str | Path | None = None,
        line: int | None = None,
    ) -> None:
        # Names of others may hold line ends and commands to a terminal.
        message, hint = _CONTROL.sub("\ufffd", message), None if hint is None else _CONTROL.sub("\ufffd", hint)
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.code = code or type(self).code
        self.file = str(file) if file is not None else None
        self.line = line

    def __str__(self) -> str:
        return f"{self.message} {self.hint}" if self.hint else self.message

    def as_dict(self) -> dict[str, object]:
        """Return the error as the stable object that `--json` prints."""
        return {name: getattr(self, name) for name in ("code", "message", "hint", "file", "line")}


class UsageError(AttentioError):
    """The command or a setting makes no sense."""

    exit_status = 2
    code = "E_USAGE"


class DataError(AttentioError):
    """An input file is missing, malformed or unusable."""

    exit_status = 3
    code = "E_DATA"


class ModelError(AttentioError):
    """A run folder, checkpoint or tokenizer is corrupt or does not belong together."""

    exit_status = 4
    code = "E_MODEL"


class ResourceError(AttentioError):
    """Disk or memory ran out."""

    exit_status = 5
    code = "E_RESOURCE"


class LostProcess(AttentioError):  # noqa: N818
    """Another process of the same training or translation ended."""

    exit_status = 75
    code = "E_LOST"


class MissingExtra(AttentioError):  # noqa: N818
    """An optional dependency is not installed."""

    exit_status = 6
    code = "E_EXTRA"


class CancelledSearch(AttentioError):  # noqa: N818
    """A translation was cancelled by the program that asked for it."""

    exit_status = 130
    code = "E_CANCELLED"


class QualityGate(AttentioError):  # noqa: N818
    """A score fell below the bound the user set, or an exported file disagrees with its model."""

    exit_status = 7
    code = "E_QUALITY"
