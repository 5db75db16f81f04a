"""A server of the small world for all tests of a run, and what is asked of it."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple

import pytest

from attentio.serve.settings import Settings
from attentio.translator import Translator

pytest.importorskip("fastapi")
uvicorn = pytest.importorskip("uvicorn")
httpx = pytest.importorskip("httpx")


class Served(NamedTuple):
    """A server that runs, where it is, and a client of it."""

    url: str
    client: Any
    app: Any


@contextmanager
def running(translators: dict[str, Translator], settings: Settings, **more: Any) -> Iterator[Served]:
    from attentio.serve.app import create_app, listen, server_config

    app = create_app(translators, settings, **more)
    listening = listen(settings.host, 0)
    server = uvicorn.Server(server_config(app, settings))
    thread = threading.Thread(target=server.run, args=([listening],))
    thread.start()
    while not server.started:
        time.sleep(0.01)
    url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    with httpx.Client(base_url=url, timeout=60) as client:
        yield Served(url, client, app)
    server.should_exit = True
    thread.join()


@pytest.fixture(scope="session")
def small_world() -> Translator:
    return Translator.load("small-world", device="cpu")


@pytest.fixture(scope="session")
def served(small_world: Translator) -> Iterator[Served]:
    """The server that most tests ask, with the limits of the defaults."""
    with running({"small-world": small_world}, Settings()) as found:
        yield found


@pytest.fixture
def start(small_world: Translator) -> Iterator[Callable[..., Served]]:
    """Settings, a glossary, a memory -> another server, until the test ends."""
    with ExitStack() as stack:

        def begin(glossary: Any = None, memory: Any = None, **settings: Any) -> Served:
            models = {"small-world": small_world}
            return stack.enter_context(running(models, Settings(**settings), glossary=glossary, memory=memory))

        yield begin
