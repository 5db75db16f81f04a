"""Who may ask, and how often: keys, rate limits, and pages of other sites.

Keys are kept and compared as digests, all of them each time, so that the time of an answer tells nothing. A key may
come in the body, in `Authorization`, or as `?token=`.
"""

import base64
import binascii
import hashlib
import hmac
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from limits import RateLimitItem, parse
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter
from starlette.requests import Request

from attentio.errors import DataError, UsageError
from attentio.serve.problems import Problem
from attentio.serve.settings import Settings

SHORTEST_KEY = 8  # characters
MOST_COUNTED = 10_000  # keys and addresses
_SCHEMES = ("bearer", "deepl-auth-key")


def read_keys(path: Path) -> frozenset[bytes]:
    """Return the digests of the keys in a file: one a line, `#` begins a comment. Raises DataError."""
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except FileNotFoundError:
        raise DataError(f"{path}: no such file.", hint="Write one key a line.", file=path) from None
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read ({type(error).__name__}).", file=path) from None
    keys = {number: line.strip() for number, line in enumerate(lines, 1) if line.strip() and line.strip()[0] != "#"}
    for number, key in keys.items():
        if len(key) < SHORTEST_KEY:
            raise DataError(
                f"{path} line {number}: a key has at least {SHORTEST_KEY} characters.", file=path, line=number
            )
    if not keys:
        raise DataError(f"{path} holds no key.", hint="Write one key a line.", file=path)
    return frozenset(map(_digest, keys.values()))


def read_rate(text: str) -> RateLimitItem:
    """Return a rate such as 60/minute. Raises UsageError."""
    try:
        return parse(text)
    except ValueError:
        raise UsageError(f"cannot read the rate {text!r}.", hint="Write it as 60/minute or 1000/day.") from None


class Guard:
    """Decide who may go on, and count the characters of each key or address."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._rate = None if settings.rate is None else read_rate(settings.rate)
        self._limiter = MovingWindowRateLimiter(MemoryStorage())
        self._usage: Counter[bytes] = Counter()

    @property
    def needs_key(self) -> bool:
        """Return whether a key must be given."""
        return bool(self._settings.keys)

    def used(self, who: bytes, characters: int = 0) -> int:
        """Return the characters of a key or address, by its digest, with these added."""
        self._usage[who] += characters
        if len(self._usage) > MOST_COUNTED:  # addresses may be any number
            self._usage = Counter(dict(self._usage.most_common(MOST_COUNTED // 2)))
        return self._usage[who]

    def admit(self, request: Request, given: object = None, *, cost: int = 1) -> bytes:
        """Return the digest of whoever asks: of a key, or of an address.

        given: the key of the body. cost: texts. Raises Problem for a wrong or missing key, and where the rate is
        exceeded.
        """
        self.check_origin(request)
        key = key_of(request, given)
        address = _digest(f"address {request.client.host if request.client else ''}")
        if not self.needs_key:
            self._charge(address, cost)
            return address
        if key is None:
            raise Problem("no key", "a key is needed.")
        digest = _digest(key)
        # Every key is compared. A sum does not end early.
        if not sum(hmac.compare_digest(digest, known) for known in self._settings.keys):
            self._charge(address, 1)
            raise Problem("wrong key", "the key is not known.")
        self._charge(digest, cost)
        return digest

    def check_origin(self, request: Request) -> None:
        """Raise Problem where a page of another site asks without being allowed to."""
        origin = request.headers.get("origin", "")
        if not origin.startswith(("http://", "https://")) or {origin, "*"} & set(self._settings.origins):
            return
        if urlsplit(origin).netloc != request.headers.get("host"):
            raise Problem("other site", "pages of other sites may not ask here. The operator can allow it.")

    def _charge(self, who: bytes, cost: int) -> None:
        if self._rate is None:
            return
        name = who.hex()
        if cost > self._rate.amount or not self._limiter.hit(self._rate, name, cost=cost):
            reset, left = self._limiter.get_window_stats(self._rate, name)
            seconds = max(1, round(reset - time.time()))
            headers = {
                "Retry-After": str(seconds),
                "RateLimit-Limit": str(self._rate.amount),
                "RateLimit-Remaining": str(left),
                "RateLimit-Reset": str(seconds),
            }
            raise Problem("rate", f"Slowdown: {self._rate}", headers)


def key_of(request: Request, given: object = None) -> str | None:
    """Return the key of a request. An empty one counts as none."""
    scheme, _, value = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() in _SCHEMES and value.strip():
        return value.strip()
    if scheme.lower() == "basic":  # what a browser asks its user for: any name, and the key as password
        return _password(value)
    named = given if isinstance(given, str) else ""
    return named or request.query_params.get("token") or request.query_params.get("api_key") or None


def first_given(values: Mapping[str, object]) -> object:
    """Return the key that stands in a body, under any of its names."""
    return next((values[name] for name in ("api_key", "apiKey", "auth_key") if values.get(name)), None)


def _password(value: str) -> str | None:
    try:
        return base64.b64decode(value.strip(), validate=True).decode("utf-8").partition(":")[2] or None
    except (binascii.Error, UnicodeDecodeError):
        return None


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
