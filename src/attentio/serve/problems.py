"""What a server cannot or will not do, before it has the form of a dialect.

The core and the guards raise a `Problem`. Each dialect writes it in the words and with the status that its clients
expect. A problem never repeats a key, and repeats of a text at most a language code.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

Kind: TypeAlias = Literal[
    "bad",
    "too long",
    "no key",
    "wrong key",
    "other site",
    "missing",
    "method",
    "slow",
    "large",
    "rate",
    "internal",
    "off",
    "full",
    "late",
]
STATUS: Mapping[Kind, int] = {
    "bad": 400,
    "too long": 400,
    "no key": 401,
    "wrong key": 403,
    "other site": 403,
    "off": 403,
    "missing": 404,
    "method": 405,
    "slow": 408,
    "large": 413,
    "rate": 429,
    "internal": 500,
    "full": 503,
    "late": 504,
}
"""The status of each kind of problem, where a dialect has no other."""


@dataclass
class Problem(Exception):  # noqa: N818  (an answer, not a fault of the program)
    """A request that is not answered as it was meant.

    message: one line for the client. headers: what the answer must carry, such as Retry-After.
    """

    kind: Kind
    message: str
    headers: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def status(self) -> int:
        """Return the usual status of this kind."""
        return STATUS[self.kind]


def full(message: str, seconds: float) -> Problem:
    """Return the problem of a server that has too much to do, to be asked again after some seconds."""
    return Problem("full", message, {"Retry-After": str(max(1, round(seconds)))})
