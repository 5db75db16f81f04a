"""The widget in a real JupyterLab that Chromium drives. It skips where JupyterLab is not installed beside the tests.

JupyterLab is large and pins much, so it has an environment of its own, as `.ci/run` makes it. Its notebooks run in the
environment of the tests.
"""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from attentio.trace import AttentionTrace

JUPYTERLAB = Path(sys.prefix) / "jupyterlab" / "bin" / "jupyter-lab"
CELLS = [
    "from attentio import AttentionTrace\nfrom attentio.view.widget import AttentionWidget\n"
    "widget = AttentionWidget(AttentionTrace.load('trace.json'))\nwidget",
    "print('at', widget.selected.row_text, widget.selected.column_text)",
    "widget.state = {'view': 'lines'}",
]


def test_the_widget_is_the_element_and_a_host() -> None:
    """What runs in JupyterLab is the module that all other pages have, with a host behind it."""
    pytest.importorskip("anywidget")
    from attentio.view.embed import static
    from attentio.view.widget import AttentionWidget

    assert str(AttentionWidget._esm) == static("attention-map.js") + static("widget.js")


@pytest.fixture
def laboratory(tmp_path: Path, make_trace: Callable[..., AttentionTrace]) -> Iterator[str]:
    """The address of a notebook in JupyterLab, with a saved trace beside it."""
    if not JUPYTERLAB.exists():
        pytest.skip(f"{JUPYTERLAB} is not there: .ci/run installs it")
    make_trace("I like cats", "我喜欢猫", layers=2, heads=3).save(tmp_path / "trace.json")
    cells = [
        {"cell_type": "code", "id": str(i), "metadata": {}, "execution_count": None, "outputs": [], "source": source}
        for i, source in enumerate(CELLS)
    ]
    kernel = {"name": "attentio", "display_name": "attentio", "language": "python"}
    notebook = {"cells": cells, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}
    (tmp_path / "map.ipynb").write_text(json.dumps(notebook), encoding="utf-8")
    folder = tmp_path / "jupyter"
    (folder / "kernels" / "attentio").mkdir(parents=True)
    started = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    specification = {**kernel, "argv": started}
    (folder / "kernels" / "attentio" / "kernel.json").write_text(json.dumps(specification), encoding="utf-8")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    settings = {"ip": "127.0.0.1", "port": port, "root_dir": tmp_path, "token": "", "password": "", "allow_root": True}
    options = [f"--ServerApp.{name}={value}" for name, value in settings.items()]
    process = subprocess.Popen(
        [JUPYTERLAB, "--no-browser", "--IdentityProvider.token=", "--LabApp.news_url=None", *options],
        env=os.environ | {f"JUPYTER_{name}": str(folder) for name in ("PATH", "CONFIG_DIR", "DATA_DIR", "RUNTIME_DIR")},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    address = f"http://127.0.0.1:{port}/"
    try:
        for _ in range(300):
            try:
                urllib.request.urlopen(f"{address}api", timeout=5).close()
                break
            except OSError:
                assert process.poll() is None
                time.sleep(0.2)
        yield f"{address}lab/tree/map.ipynb"
    finally:
        process.terminate()
        process.wait(30)
        shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.slow
def test_the_map_walks_by_keyboard_and_answers_python(laboratory: str, chromium: Any) -> None:
    page = chromium.new_page(viewport={"width": 1200, "height": 1000})
    page.set_default_timeout(120_000)
    noticed: list[str] = []
    ours = ("http://127.0.0.1", "data:", f"blob:{laboratory[:17]}")
    page.on("request", lambda one: None if one.url.startswith(ours) else noticed.append(one.url))
    page.goto(laboratory)

    def run(cell: int) -> Any:
        found = page.locator(".jp-Notebook .jp-CodeCell").nth(cell)
        for _ in range(20):  # JupyterLab forgets what is run while it still connects to the kernel
            found.locator(".cm-content").click()
            page.keyboard.press("Control+Enter")
            page.wait_for_timeout(3000)
            if "[ ]" not in found.locator(".jp-InputPrompt").inner_text():
                break
        return found.locator(".jp-OutputArea")

    page.wait_for_selector(".jp-Notebook-ExecutionIndicator[data-status='idle']", state="attached")
    shown = run(0)
    start = shown.locator("attention-map td[tabindex='0']")
    start.wait_for()
    assert shown.locator("attention-map thead th").all_text_contents()[1:] == ["I", "like", "cats"]
    start.click()
    for key in ("ArrowRight", "ArrowDown", "ArrowDown"):
        page.keyboard.press(key)
    focused = "() => document.activeElement.shadowRoot.activeElement.getAttribute('aria-label')"
    assert page.evaluate(focused).startswith("target 欢, source like")
    told = run(1).locator(".jp-OutputArea-output")
    told.wait_for()
    assert told.text_content().strip() == "at 欢 like"
    run(2)
    shown.locator("attention-map svg.lines").wait_for()
    assert noticed == []
    page.close()
