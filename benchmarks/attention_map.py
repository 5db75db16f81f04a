"""How fast is the attention map in a browser, and how large is its page?

    python benchmarks/attention_map.py

Chromium opens pages as `attentio view --html` writes them, of random weights: all heads of a Transformer of 6 layers
and 8 heads (attention to the source, encoder and decoder self-attention), and a map of 60 x 80 tokens. Printed:
how long until a page is drawn, until a map is drawn again, and a move by one cell. It needs Playwright and an
installed Chromium, and a quiet machine.
"""

import shutil
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from machine import describe_machine
from playwright.sync_api import sync_playwright

from attentio.trace import AttentionTrace
from attentio.view.embed import document

ROUNDS = 5
AGAIN = """async () => {
  const map = document.querySelector("attention-map");
  const found = [];
  for (let i = 0; i < 7; i++) {
    const begin = performance.now();
    map.state = {...map.state, unit: i % 2 ? "words" : "tokens"};
    await new Promise((go) => requestAnimationFrame(() => setTimeout(go)));
    found.push(performance.now() - begin);
  }
  return found;
}"""
WALK = """async () => {
  const root = document.querySelector("attention-map").shadowRoot;
  root.querySelector("td[tabindex='0']").focus();
  const found = [];
  for (let i = 0; i < 100; i++) {
    const key = ["ArrowRight", "ArrowDown"][i % 2];
    const begin = performance.now();
    root.activeElement.dispatchEvent(new KeyboardEvent("keydown", {key, bubbles: true, composed: true}));
    document.body.offsetHeight;
    found.push(performance.now() - begin);
    await new Promise((go) => requestAnimationFrame(go));
  }
  return found;
}"""


def random_trace(source: int, target: int, *, layers: int = 6, heads: int = 8) -> AttentionTrace:
    """A trace of so many tokens on both sides, with the end of the sentence."""
    random = np.random.default_rng(1)

    def side(count: int) -> tuple[str, tuple[str, ...], tuple[tuple[int, int], ...]]:
        words = [f"word{number}" for number in range(count - 1)]
        places = [(sum(map(len, words[:i])) + i, sum(map(len, words[: i + 1])) + i) for i in range(count - 1)]
        text = " ".join(words)
        return text, (*words, "</s>"), (*places, (len(text), len(text)))

    def weights(rows: int, columns: int) -> dict[str, Any]:
        drawn = (random.dirichlet(np.ones(columns), (heads, rows)) for _ in range(layers))
        return {f"layer {number}": each.astype(np.float32) for number, each in enumerate(drawn, 1)}

    (read, sources, from_), (written, targets, to) = side(source), side(target)
    return AttentionTrace(
        read,
        written,
        sources,
        targets,
        from_,
        to,
        weights(target, source),
        np.full(target, -1.0, dtype=np.float32),
        encoder_self=weights(source, source),
        decoder_self=weights(target, 1 + target),
    )


def main() -> None:
    """Print all figures."""
    program = shutil.which("chromium") or shutil.which("google-chrome")
    print(describe_machine())
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as folder:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        path = Path(folder) / "map.html"

        def opened(trace: AttentionTrace, *, heads: bool, drawn: str) -> None:
            path.write_text(document([[trace]], heads=heads), encoding="utf-8")
            found: list[float] = []
            for _ in range(ROUNDS):
                began = time.perf_counter()
                page.goto(path.as_uri())
                page.wait_for_selector(drawn)
                page.evaluate("() => new Promise((go) => requestAnimationFrame(() => requestAnimationFrame(go)))")
                found.append(1000 * (time.perf_counter() - began))
            shape = (
                f"{len(trace.target_tokens)} x {len(trace.source_tokens)} tokens, {path.stat().st_size / 1e6:.2f} MB"
            )
            print(f"open {'all heads' if heads else 'a map'}, {shape}: {spread(found)}")

        opened(random_trace(30, 30), heads=True, drawn="attention-map canvas")
        opened(random_trace(80, 60), heads=True, drawn="attention-map canvas")
        opened(random_trace(80, 60), heads=False, drawn="attention-map [role=grid]")
        print(f"draw it again: {spread(page.evaluate(AGAIN))}")
        print(f"move by a cell: {spread(page.evaluate(WALK))}")
        browser.close()
    for length, layers, heads in ((15, 6, 8), (15, 3, 4), (40, 3, 4)):
        sentences = [[random_trace(length, length, layers=layers, heads=heads)] for _ in range(10)]
        size = len(document(sentences).encode()) / 1e6
        print(f"ten sentences of {length} tokens, {layers} layers of {heads} heads: {size:.2f} MB")


def spread(values: list[float]) -> str:
    """The median and the largest, in milliseconds."""
    return f"{median(values):.1f} ms, slowest {max(values):.1f} ms"


if __name__ == "__main__":
    main()
