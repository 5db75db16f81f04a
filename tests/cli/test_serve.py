"""`attentio serve` as its operator meets it: what it refuses, how it starts, and how it ends."""

import json
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import typer

from attentio.cli import app
from attentio.translator import Translator

pytest.importorskip("fastapi")
TEXT = "My sister bought two books yesterday."
DONE = "我姐姐昨天买了两本书。"


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["small-world", "--host", "0.0.0.0"], 2, "on 0.0.0.0 everyone who reaches this machine could translate. Name"),
        (["small-world", "--host", "::"], 2, "say --open."),
        (["small-world", "--host", "nowhere.invalid", "--open"], 2, "no address 'nowhere.invalid'"),
        (["small-world", "--keys", "none.txt"], 3, "none.txt: no such file."),
        (["small-world", "--rate-limit", "often"], 2, "cannot read the rate 'often'. Write it as 60/minute"),
        (["runs/none", "--port", "0"], 4, "runs/none: no such folder."),
        (["runs/none=english", "--port", "0"], 2, "cannot read the languages of 'runs/none=english'."),
    ],
)
def test_what_is_refused_is_one_line(
    attentio: Callable[..., Any],
    arguments: list[str],
    status: int,
    words: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    outcome = attentio("serve", *arguments)
    assert outcome.status == status
    assert outcome.out == ""
    assert outcome.err.startswith("error: ")
    assert outcome.err.count("\n") == 1
    assert words in outcome.err


def test_a_port_that_is_taken_is_one_line(attentio: Callable[..., Any]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        outcome = attentio("serve", "small-world", "--port", port)
    assert (outcome.status, outcome.err) == (
        2,
        f"error: port {port} is taken. Choose another, or 0 for any free one.\n",
    )


def test_models_and_address_are_said(attentio: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []
    monkeypatch.setattr("attentio.serve.app.run", lambda *given: seen.append(given[2]))
    outcome = attentio("serve", "small-world", "small-world=en-de", "--port", 0, "--beam", 2, "--max-body", 3)
    assert outcome.status == 0, outcome.err
    assert outcome.err.startswith(
        "model  small-world, en to zh\nmodel  small-world-2, en to de\nserving http://127.0.0.1:"
    )
    assert (seen[0].beam, seen[0].body) == (2, 3 << 20)


@contextmanager
def started(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A server in a process of its own, and its address."""
    command = [sys.executable, "-m", "attentio", "serve", *arguments, "--port", "0"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    try:
        for line in process.stderr:
            if found := re.search(r"serving (http://\S+)/ ", line):
                yield process, found[1]
                break
    finally:
        process.kill()
        process.communicate()


def ask(url: str, texts: list[str]) -> list[str]:
    content = json.dumps({"q": texts, "source": "en", "target": "zh"}).encode()
    request = urllib.request.Request(f"{url}/translate", content, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=120) as answer:
        return json.load(answer)["translatedText"]


@pytest.mark.slow
def test_sigterm_loses_no_request_that_was_accepted() -> None:
    """Twelve clients have asked for more than one batch when the signal comes. All of them are answered."""
    found: dict[int, list[str]] = {}

    def client(number: int, url: str) -> None:
        found[number] = ask(url, [TEXT] * (20 + number))

    with started("small-world", "--batch-texts", "8") as (process, url):
        threads = [threading.Thread(target=client, args=(number, url)) for number in range(12)]
        for thread in threads:
            thread.start()
        waiting = 0.0
        while waiting < 150:  # of 306: the rest is translated, or at work
            with urllib.request.urlopen(f"{url}/metrics") as metrics:
                text = metrics.read().decode()
            waiting = float(re.search(r"^attentio_waiting_texts (\S+)$", text, re.M)[1])  # type: ignore[index]
            if len(found) == 12:
                pytest.skip("the machine was too fast to be interrupted")
        process.send_signal(signal.SIGTERM)
        for thread in threads:
            thread.join()
        assert found == {number: [DONE] * (20 + number) for number in range(12)}
        assert process.wait(30) == 0
        with pytest.raises(OSError, match="refused"):
            ask(url, [TEXT])


@pytest.mark.slow
def test_a_model_that_is_cut_short_replaced_or_removed_serves_on(tiny_run: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(tiny_run, run)
    with started(str(run)) as (process, url):
        before = ask(url, [TEXT])
        for path in run.rglob("*.safetensors"):
            path.write_bytes(b"")  # in place: what is mapped into memory would be gone
        assert ask(url, [TEXT]) == before
        shutil.rmtree(run / "model")
        Translator.load("small-world", device="cpu").bundle.save(run / "model")
        assert ask(url, [TEXT]) == before != [DONE]
        shutil.rmtree(run)
        assert ask(url, [TEXT, "I love you."])[0] == before[0]
        process.send_signal(signal.SIGINT)
        assert process.wait(30) in (0, 130)


@pytest.mark.parametrize("name", ["attentio.service", "Dockerfile", "Dockerfile.runtime"])
def test_packaging_starts_what_exists(name: str) -> None:
    text = (Path(__file__).resolve().parents[2] / "packaging" / name).read_text(encoding="utf-8")
    if name.startswith("Dockerfile"):
        words = [*json.loads(text.split("ENTRYPOINT ")[1].split("\n")[0]), *json.loads(text.split("\nCMD ")[-1])]
    else:
        words = re.search(r"^ExecStart=(.*)$", text, re.M)[1].split()  # type: ignore[index]
    assert words[0] == "/opt/attentio/bin/attentio"
    command: Any = typer.main.get_command(app)
    command.commands[words[1]].make_context("attentio", words[2:])
