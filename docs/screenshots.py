"""Takes the pictures of a map, of the live page and of the page as a file that README and documentation show.

attentio train small-world --preset transformer-tiny --max-time 6m --out runs/transformer
python docs/screenshots.py runs/transformer small-world

It needs Playwright and an installed Chromium.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

TEXT = "My sister bought two books yesterday."
SEVERAL = f"Where is my cat? {TEXT}"
ATTENTIO = [sys.executable, "-m", "attentio", "view"]


@contextmanager
def served(runs: list[str]) -> Iterator[str]:
    """Give the address of the live page while it is served."""
    beside = [word for run in runs[1:] for word in ("--beside", run)]
    process = subprocess.Popen([*ATTENTIO, runs[0], *beside, "--open"], stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    try:
        yield process.stderr.readline().split()[1]
    finally:
        process.terminate()
        process.communicate()


def take_live(page: Any, address: str, asked: str, out: Path) -> None:
    """Look at the second sentence, mask a token, measure erasure, and save a picture of the page."""
    page.goto(f"{address}#text={SEVERAL}&sentence=1&{asked}")
    page.wait_for_selector("#maps [role=grid]")
    page.locator("#tokens button").nth(3).click()
    page.wait_for_selector("#tokens [aria-pressed=true]")
    page.wait_for_selector("main[aria-busy=false]")
    page.locator("#erase").click()
    page.wait_for_selector("#erasure-map [role=grid]")
    page.screenshot(path=out, full_page=True)


def main(runs: list[str], out: Path) -> None:
    """Take all pictures."""
    program = shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as folder:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        with served(runs) as address:
            for scheme, asked in (("light", "language=en"), ("dark", "language=zh")):
                page = browser.new_page(viewport={"width": 1100, "height": 800}, color_scheme=scheme)
                beside = f"&beside={Path(runs[1]).name}" if runs[1:] else ""
                take_live(page, address, asked + beside, out / f"live-page-{scheme}.png")
        file, map_file = Path(folder) / "heads.html", Path(folder) / "map.html"
        for command in ([runs[0], TEXT, "--all-heads", "--html", file], [runs[-1], TEXT, "--html", map_file]):
            subprocess.run([*ATTENTIO, *command], check=True, stdout=subprocess.DEVNULL)
        for scheme in ("light", "dark"):
            page = browser.new_page(color_scheme=scheme, device_scale_factor=2)
            page.goto(map_file.as_uri())
            page.locator("attention-map table[role=grid]").screenshot(path=out / f"attention-map-{scheme}.png")
            page = browser.new_page(viewport={"width": 800, "height": 500}, color_scheme=scheme)
            page.goto(file.as_uri())
            page.wait_for_selector("attention-map canvas")
            page.screenshot(path=out / f"all-heads-{scheme}.png", full_page=True)
        browser.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Take the pictures of the pages.")
    parser.add_argument("runs", nargs="+", help="run folders: the first is examined, the second stands beside it")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "images")
    given = parser.parse_args()
    main(given.runs, given.out)
