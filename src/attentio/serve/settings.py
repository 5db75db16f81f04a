"""What an operator decides about a server, with careful defaults."""

from dataclasses import dataclass
from pathlib import Path

from attentio.search import DEFAULT_BEAM

HOST = "127.0.0.1"
PORT = 5000
MEBIBYTE = 1 << 20


@dataclass(frozen=True)
class Settings:
    """How a server behaves.

    host: the address it listens on. keys: digests of the keys that are accepted, none where everyone may ask.
    allowed_hosts: names that requests may be addressed to, beside those of this machine. Only asked where `host` is
    this machine. origins: sites whose pages may ask. proxies: addresses whose X-Forwarded-For is believed.
    beam: hypotheses of a search, where a request names none. seconds: how long a request may take.
    characters: of one text at most. texts: of one request at most. body, file_body: bytes of a request at most.
    alternatives: how many a request may ask for. waiting: texts in the queue. batch_wait: seconds for company.
    threads: batches at once, each on one processor core. rate: such as "60/minute", texts for each key or address.
    cache: translations that are kept in memory and given again. suggestions: file of better translations.
    """

    host: str = HOST
    port: int = PORT
    keys: frozenset[bytes] = frozenset()
    allowed_hosts: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()
    proxies: tuple[str, ...] = ()
    beam: int = DEFAULT_BEAM
    seconds: float = 60.0
    characters: int = 5_000
    texts: int = 128
    body: int = MEBIBYTE
    file_body: int = 10 * MEBIBYTE
    alternatives: int = 9
    waiting: int = 1_024
    batch_wait: float = 0.005
    batch_texts: int = 64
    threads: int = 1
    rate: str | None = None
    cache: int = 0
    suggestions: Path | None = None
