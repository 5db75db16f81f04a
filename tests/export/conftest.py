"""What tests of exported files share: node, programs of the page run in it, and Firefox as Debian ships it."""

import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

STATIC = Path(__file__).resolve().parents[2] / "src" / "attentio" / "export" / "static"
Js = Callable[[str, object], Any]


@pytest.fixture(scope="session")
def js() -> Js:
    """Body of a function of `given` that imports modules of the page by `load` -> what it returns, as JSON."""
    if shutil.which("node") is None:
        pytest.skip("there is no node")

    def run(body: str, given: object) -> Any:
        program = (
            'import { readFileSync } from "node:fs";\n'
            f'const load = (name) => import("{STATIC.as_uri()}/" + name);\n'
            'const given = JSON.parse(readFileSync(0, "utf8"));\n'
            f"const made = await (async () => {{ {body} }})();\n"
            "process.stdout.write(JSON.stringify(made));"
        )
        done = subprocess.run(
            ["node", "--input-type=module", "--eval", program],
            input=json.dumps(given),
            capture_output=True,
            text=True,
            encoding="utf-8",
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return run


SECONDS = 120  # that Firefox has to start, and a script to answer
KEYS = {"Control": "\ue009", "Enter": "\ue007", "Tab": "\ue004"}  # WebDriver's


class Firefox:
    """A running Firefox, driven by Marionette, its own protocol: JSON with its length before it, over a socket.

    Scripts return what JSON can hold.
    """

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._answers = connection.makefile("rb")
        self._number = 0
        self._receive()  # what it says of itself
        self.command("WebDriver:NewSession")
        self.command("WebDriver:SetTimeouts", script=1000 * SECONDS)

    def _receive(self) -> Any:
        length = b""
        while (digit := self._answers.read(1)) not in (b":", b""):
            length += digit
        return json.loads(self._answers.read(int(length)))

    def command(self, name: str, **parameters: Any) -> Any:
        """Return what a command gives. Raises RuntimeError with Firefox's own words."""
        self._number += 1
        content = json.dumps([0, self._number, name, parameters]).encode()
        self._connection.sendall(b"%d:%s" % (len(content), content))
        _, _, error, found = self._receive()
        if error:
            raise RuntimeError(f"{name}: {error['error']}: {error['message']}")
        return found

    def open(self, address: str) -> None:
        """Open a page and wait for it."""
        self.command("WebDriver:Navigate", url=address)

    def run(self, script: str, *given: Any) -> Any:
        """Return what the body of a function returns for `arguments`, a promise or a value."""
        body = f"const done = arguments[arguments.length - 1]; (async (...arguments_) => {{ {script} }})(...arguments)"
        found = self.command(
            "WebDriver:ExecuteAsyncScript",
            script=f"{body}.then((value) => done([value]), (fault) => done(String(fault)));",
            args=list(given),
        )["value"]
        if not isinstance(found, list):
            raise RuntimeError(str(found))
        return found[0]

    def wait(self, selector: str) -> None:
        """Wait until something in the page fits a selector."""
        self.run(
            "while (!document.querySelector(arguments_[0])) await new Promise((go) => setTimeout(go, 50));", selector
        )

    def press(self, *keys: str) -> None:
        """Press keys together, by their names."""
        names = [KEYS.get(key, key) for key in keys]
        actions = [{"type": "keyDown", "value": key} for key in names]
        actions += [{"type": "keyUp", "value": key} for key in reversed(names)]
        self.command("WebDriver:PerformActions", actions=[{"type": "key", "id": "keyboard", "actions": actions}])


@contextmanager
def started(program: str, folder: Path) -> Iterator[Firefox]:
    """Give a Firefox with a profile of its own in `folder`."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (folder / "user.js").write_text(f'user_pref("marionette.port", {port});\n', encoding="utf-8")
    options = ["--headless", "--marionette", "--no-remote", "--profile", str(folder)]
    environment = {**os.environ, "HOME": str(folder), "MOZ_HEADLESS": "1"}
    process = subprocess.Popen(
        [program, *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment
    )
    try:
        until = time.monotonic() + SECONDS
        while True:
            try:
                connection = socket.create_connection(("127.0.0.1", port))
                break
            except OSError:
                if time.monotonic() > until or process.poll() is not None:
                    raise
                time.sleep(0.1)
        with connection:
            browser = Firefox(connection)
            yield browser
            browser.command("Marionette:Quit", flags=["eForceQuit"])
        process.wait(SECONDS)
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="session")
def marionette() -> type[Firefox]:
    """What speaks with a Firefox at the other end of a socket."""
    return Firefox


@pytest.fixture(scope="module")
def firefox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Firefox]:
    """A running Firefox. The test skips without it."""
    program = shutil.which("firefox-esr") or shutil.which("firefox")
    if program is None:
        pytest.skip("there is no Firefox")
    with started(program, tmp_path_factory.mktemp("firefox")) as browser:
        yield browser
