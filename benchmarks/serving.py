"""How many texts does the server translate in a second, and how long does each wait?

    python benchmarks/serving.py                                # the small world, 64 clients, 60 s each
    python benchmarks/serving.py --run runs/mine --texts input.txt --seconds 20
    python benchmarks/serving.py --seconds 0 --requests 20000 --count 2000      # only: does its memory grow?

Each way of serving gets a server of its own, one after the other, on the same texts:

- batches: the default. Texts that arrive together share a batch.
- no batches: the same server and clients, one text at a time.
- one by one: one client that waits for each answer before it asks again.

Every answer is compared with the one that the text gets alone. Memory is that of the server's process. With
`--requests`, another server answers so many, and its memory is noted after each quarter of them.
"""

import argparse
import asyncio
import json
import math
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from report import Table, add_options, publish

WAYS: dict[str, list[str]] = {"batches": [], "no batches": ["--batch-texts", "1"], "one by one": ["--batch-texts", "1"]}


class Served(NamedTuple):
    """What one way of serving gave.

    seconds: of each answer. took: of all together. wrong: answers other than alone. failed: requests without one.
    memory: MB of the server after each quarter.
    """

    seconds: list[float]
    took: float
    wrong: int
    failed: int
    memory: list[float]

    @property
    def rate(self) -> float:
        """Answers a second."""
        return len(self.seconds) / self.took


@contextmanager
def server(run: str, options: list[str], beam: int) -> Generator[tuple[int, int, float]]:
    """Give the port of a server, its process, and the seconds until it answered."""
    command = [sys.executable, "-m", "attentio", "serve", run, "--port", "0", "--beam", str(beam), *options]
    began = time.perf_counter()
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    try:
        found = None
        while found is None and (line := process.stderr.readline()):
            found = re.search(r"serving http://127\.0\.0\.1:(\d+)/", line)
        if found is None:
            raise SystemExit("the server did not start")
        port = int(found[1])
        asyncio.run(_once(port))
        yield port, process.pid, time.perf_counter() - began
    finally:
        process.terminate()
        process.communicate()


async def _once(port: int) -> None:
    connection = Connection(port)
    await connection.ask("I love you.")
    connection.close()


class Connection:
    """One client: a connection that is kept, and as little work for each answer as possible."""

    def __init__(self, port: int, source: str = "auto", target: str = "zh") -> None:
        self._port = port
        self._pair = {"source": source, "target": target}
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def ask(self, text: str) -> str | None:
        """Return the translation, or None where the server gives none."""
        if self._reader is None or self._writer is None:
            self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
        body = json.dumps({"q": text, **self._pair}).encode()
        head = "POST /translate HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        self._writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        answer = await self._reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", answer)
        assert length is not None
        content = await self._reader.readexactly(int(length[1]))
        return json.loads(content)["translatedText"] if answer.startswith(b"HTTP/1.1 200") else None

    def close(self) -> None:
        """Hang up."""
        if self._writer is not None:
            self._writer.close()


async def load(
    port: int,
    process: int,
    texts: list[str],
    alone: dict[str, str],
    pair: tuple[str, str],
    clients: int,
    *,
    limit: float = math.inf,
    requests: int = 1 << 62,
) -> Served:
    """Let clients ask for `limit` seconds, or so many requests."""
    seconds: list[float] = []
    used: list[float] = []
    wrong = failed = 0
    turn = iter(range(requests))
    began = time.perf_counter()

    async def client() -> None:
        nonlocal wrong, failed
        connection = Connection(port, *pair)
        while time.perf_counter() - began < limit and (number := next(turn, None)) is not None:
            text = texts[number % len(texts)]
            asked = time.perf_counter()
            answer = await connection.ask(text)
            seconds.append(time.perf_counter() - asked)
            failed += answer is None
            wrong += answer is not None and answer != alone[text]
            done = max((time.perf_counter() - began) / limit, len(seconds) / requests)
            if done >= (len(used) + 1) / 4:
                used.append(memory(process))
        connection.close()

    await asyncio.gather(*(client() for _ in range(clients)))
    return Served(seconds, time.perf_counter() - began, wrong, failed, used)


def memory(process: int) -> float:
    """Return the megabytes that a process has in memory. 0 where the system does not say."""
    try:
        status = Path(f"/proc/{process}/status").read_text(encoding="ascii")
    except OSError:
        return 0.0
    found = re.search(r"VmRSS:\s+(\d+) kB", status)
    return int(found[1]) / 1000 if found else 0.0


def texts_of(path: Path | None, count: int) -> list[str]:
    """Return different texts: lines of a file, or sentences of the small world."""
    from attentio.corpora.small_world.grammar import sample

    lines = (
        path.read_text(encoding="utf-8").split("\n") if path else [pair.source for pair in sample(2 * count, seed=7)]
    )
    return list(dict.fromkeys(line.strip() for line in lines if line.strip()))[:count]


def main(words: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", default="small-world", help="what is served")
    parser.add_argument("--texts", type=Path, help="file of texts, one a line, in place of the small world")
    parser.add_argument("--count", type=int, default=500, help="different texts")
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--requests", type=int, default=0, help="requests after which memory is compared")
    parser.add_argument("--beam", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=1)
    add_options(parser)
    parser.set_defaults(threads=1)
    arguments = parser.parse_args(words)
    import torch

    from attentio.search.batched import SearchConfig
    from attentio.translator import Translator

    torch.set_num_threads(1)
    texts = texts_of(arguments.texts, arguments.count)
    translator = Translator.load(arguments.run, device="cpu")
    alone = {text: translator.translate([text], SearchConfig(arguments.beam))[0].text for text in texts}
    pair = translator.source_language or "en", translator.target_language or "zh"
    found: dict[str, list[Served]] = {way: [] for way in WAYS}
    starts: list[float] = []
    for _ in range(arguments.rounds if arguments.seconds else 0):
        for way, options in WAYS.items():
            clients = 1 if way == "one by one" else arguments.clients
            more = ["--threads", str(arguments.threads)] if way == "batches" else []
            with server(arguments.run, [*options, *more], arguments.beam) as (port, process, start):
                starts.append(start)
                found[way].append(
                    asyncio.run(load(port, process, texts, alone, pair, clients, limit=arguments.seconds))
                )
    tables = [_ways(found, starts, texts, arguments)] if arguments.seconds else []
    if arguments.requests:
        with server(arguments.run, ["--threads", str(arguments.threads)], arguments.beam) as (port, process, _):
            many = asyncio.run(load(port, process, texts, alone, pair, arguments.clients, requests=arguments.requests))
        tables.append(_memory(many, arguments.requests, len(texts), arguments.clients))
    publish("serving", tables, arguments)


def _ways(found: dict[str, list[Served]], starts: list[float], texts: list[str], arguments: Any) -> Table:
    columns = ("", "clients", "answers/s", "of batches", "p50, ms", "p99, ms", "other answers", "failed", "memory, MB")
    rows = [row(way, rounds, found["batches"], arguments.clients) for way, rounds in found.items()]
    notes = (
        f"{len(texts)} different texts, beam {arguments.beam}, {arguments.rounds} round(s) of {arguments.seconds:g} s. "
        f"From the command to its first answer: {statistics.median(starts):.1f} s. "
        f"Memory after a quarter of the time and at the end. The {arguments.clients} clients run on the same cores."
    )
    samples = {
        way: [each._replace(seconds=[])._asdict() | {"rate": each.rate} for each in rounds]
        for way, rounds in found.items()
    }
    return Table("One text a request", columns, rows, samples, notes)


def _memory(many: Served, requests: int, texts: int, clients: int) -> Table:
    columns = ("requests", "memory, MB", "of the first quarter")
    rows = [
        (f"{requests * quarter // 4:,}", f"{used:.0f}", f"{used / many.memory[0]:.3f}")
        for quarter, used in enumerate(many.memory, 1)
    ]
    counted = f"{many.rate:.0f} answers/s, {many.wrong} other answers, {many.failed} failed."
    notes = f"{texts} different texts, {clients} clients, {counted}"
    return Table("Memory of a server", columns, rows, {"memory": [many._replace(seconds=[])._asdict()]}, notes)


def row(way: str, rounds: list[Served], batches: list[Served], clients: int) -> tuple[str, ...]:
    """One way of serving, as medians over the rounds. The ratio is that of each round."""
    waits = sorted(seconds for each in rounds for seconds in each.seconds)
    ratio = statistics.median(each.rate / other.rate for each, other in zip(rounds, batches, strict=True))
    early, late = (statistics.median(each.memory[place] for each in rounds) for place in (0, -1))
    return (
        way,
        "1" if way == "one by one" else str(clients),
        f"{statistics.median(each.rate for each in rounds):.1f}",
        f"{ratio:.2f}",
        f"{1000 * waits[len(waits) // 2]:.0f}",
        f"{1000 * waits[int(0.99 * len(waits))]:.0f}",
        str(sum(each.wrong for each in rounds)),
        str(sum(each.failed for each in rounds)),
        f"{early:.0f}, {late:.0f}",
    )


if __name__ == "__main__":
    main()
