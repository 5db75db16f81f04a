"""The page: what its program computes is what the model computes, and what stands in it makes no request."""

import html
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import torch

from attentio.attention.registry import AXES
from attentio.bundle import Architecture, Bundle, Side
from attentio.corpora.small_world.grammar import sample
from attentio.errors import ResourceError
from attentio.export.format import Answer, Named, folded, round_last_axis, rounded, tensors_of
from attentio.export.html import MODULES, Html, Site, page, program, script
from attentio.export.parity import agreement, model_answers
from attentio.model.families import build_model
from attentio.model.lexicon import MOST
from attentio.search.batched import SearchConfig
from attentio.text.learn import train_tokenizer
from attentio.translator import Translator


class QuietHandler(SimpleHTTPRequestHandler):
    """Serves a folder, and prints nothing."""

    def log_message(self, *_: object) -> None:
        return


needs_node = pytest.mark.skipif(shutil.which("node") is None, reason="there is no node")
STATIC = Path(__file__).resolve().parents[2] / "src" / "attentio" / "export" / "static"
Violations = Callable[[Any], list[str]]
PAIRS = sample(60, seed=5)
SENTENCES = [
    "My sister bought two books.",
    "Where?",
    "He likes 3 cats, 12 dogs and 😀.",
    "龘 xyz 1,000, <b>",
    "12, 3.5!",
]


def random_bundle(
    model: dict[str, Any], attention: dict[str, Any] | None = None, own: dict[str, Any] | None = None, *, seed: int = 0
) -> Bundle:
    """A model of random weights between characters: nothing it writes makes sense, and every number counts."""
    parts = {"model": model, "attention": attention or {}} | ({"self_attention": own} if own else {})
    architecture = Architecture.model_validate(parts)
    source, target = (
        train_tokenizer("char", [getattr(pair, side) for pair in PAIRS], 40, placeholders=True)
        for side in ("source", "target")
    )
    torch.manual_seed(seed)
    built = build_model(
        architecture.model, architecture.attention, source.vocab_size, target.vocab_size,
        self_attention=architecture.self_attention,
    )  # fmt: skip
    with torch.no_grad():
        for parameter in built.parameters():  # also what starts at zero or one acts
            parameter += 0.1 * torch.randn_like(parameter)
        built.decoder.bias[2] += 2  # sentences end before their limit
        if built.lexicon is not None:
            tokens = torch.randint(4, target.vocab_size, (source.vocab_size, MOST))
            built.lexicon.learn(tokens, tokens.roll(1, 1) * (torch.arange(MOST) % 2), torch.rand(tokens.shape) / MOST)
    weights = built.unique_state_dict()
    sides = Side(source, language="en"), Side(target)
    return Bundle(architecture, weights, *sides, 64, longest_source=29, placeholders=seed % 2 == 0)


def answers_of(bundle: Bundle, *, beam: int, model: torch.nn.Module | None = None) -> list[Answer]:
    translator = Translator(bundle, device="cpu")
    if model is not None:
        translator.model = model  # type: ignore[assignment]
    return model_answers(translator, SENTENCES, beam)


def check(bundle: Bundle, folder: Path, *, beam: int, precision: str = "fp32") -> list[Answer]:
    """Asserts that the page of a model gives what the model gives."""
    Html().write([Named("random", bundle)], folder / "page.html", precision=precision)
    found = Html().run(folder / "page.html", SENTENCES, beam=beam)
    model = rounded(folded(bundle)) if precision == "int8" else None
    wanted = answers_of(bundle, beam=beam, model=model)
    compared = agreement("the model", found, wanted, SENTENCES)
    assert (compared.same, compared.sentences) == (len(SENTENCES), len(SENTENCES)), [found, wanted]
    assert compared.difference < 1e-4
    for own, other in zip(found, wanted, strict=True):
        assert abs(own.score - other.score) < 1e-4
    return found


CNN = {"family": "cnn", "embedding_size": 10, "hidden_size": 14, "encoder_layers": 2, "decoder_layers": 2}


RNN = {"family": "rnn", "embedding_size": 10, "hidden_size": 12}
TRANSFORMER = {"family": "transformer", "hidden_size": 12, "feed_forward_size": 18, "encoder_layers": 2}
ABOVE = {"attention_layer": "bottom", "decoder_layers": 2}
DEEP = {"encoder_layers": 2, "decoder_layers": 2, "residual": True, "layer_norm": True}
CASES: list[tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = [
    (CNN, {}, {}),
    (CNN | {"kernel_size": 5, "tie_embeddings": False}, {"score": "cosine", "num_heads": 2}, {}),
    (CNN | {"max_positions": 7}, {"score": "additive", "normalize": "entmax15", "window": "local-p:3"}, {}),
    (CNN | {"kernel_size": 1}, {"score": "linear_concat", "normalize": "entmax:1.3", "window": "relative"}, {}),
    (CNN | {"lexicon": 0.4}, {"score": "cosine", "num_heads": 2}, {}),
    (RNN | {"lexicon": 0.4, "query": "previous"}, {"normalize": "monotonic"}, {}),
    (TRANSFORMER | {"lexicon": 0.4}, {"num_heads": 3}, {"num_heads": 2}),
    (RNN, {"score": "dot", "normalize": "hard_marginal", "window": "causal"}, {}),
    (RNN | DEEP | {"cell": "gru"}, {"score": "location_aware", "num_heads": 2}, {}),
    (RNN | {"query": "previous"}, {"score": "coverage", "normalize": "sparsemax", "num_heads": 3}, {}),
    (RNN | ABOVE | {"query": "previous", "cell": "gru", "bidirectional": False}, {"score": "normed_additive"}, {}),
    (RNN | ABOVE | {"input_feeding": True, "embedding_size": 12}, {"score": "fertility_coverage", "num_heads": 2}, {}),
    (RNN | {"input_feeding": True, "lexical_memory": False}, {"normalize": "monotonic", "num_heads": 2}, {}),
    (RNN | {"cell": "gru"}, {"score": "scaled_dot", "window": "local-m:4", "num_heads": 2}, {}),
    (TRANSFORMER | {"activation": "relu"}, {"score": "location"}, {"window": "relative", "num_heads": 2}),
    (
        TRANSFORMER | {"norm": "post", "positions": "learned", "max_positions": 9},
        {"score": "bilinear", "normalize": "mocha", "num_heads": 2},
        {"window": "local-p:4", "score": "bilinear", "num_heads": 2},
    ),
    (
        TRANSFORMER | {"activation": "silu", "positions": "rotary"},
        {"score": "scaled_dot", "normalize": "hard_reinforce", "window": "sliding:3", "num_heads": 2},
        {"score": "scaled_dot", "num_heads": 3},
    ),
    (
        TRANSFORMER | {"activation": "swiglu", "norm": "post", "tie_embeddings": False},
        {"score": "dot", "window": "local-p:4,renormalize=true", "num_heads": 2},
        {"score": "additive", "normalize": "sparsemax", "window": "local-m:4", "num_heads": 1},
    ),
    (
        TRANSFORMER | {"positions": "sinusoidal_halves", "embedding_norm": True, "norm_epsilon": 1e-2},
        {"num_heads": 2},
        {"num_heads": 3},
    ),
    (
        TRANSFORMER | {"positions": "sinusoidal_t2t", "first_position": 1, "scale_embeddings": False},
        {"num_heads": 3},
        {"num_heads": 2},
    ),
    (
        TRANSFORMER | {"source_end": False, "norm_epsilon": 1e-6},
        {"score": "scaled_dot", "num_heads": 2},
        {"num_heads": 3},
    ),
    (
        TRANSFORMER,
        {"score": "cosine", "normalize": "hard_straight_through"},
        {"score": "cosine", "normalize": "entmax15", "window": "causal", "num_heads": 4},
    ),
]


@pytest.mark.slow
@needs_node
@pytest.mark.parametrize(("number", "case"), list(enumerate(CASES)))
def test_the_program_computes_what_the_model_computes(
    number: int, case: tuple[dict[str, Any], dict[str, Any], dict[str, Any]], tmp_path: Path
) -> None:
    """Greedily and with a beam in turn. Answers, scores and the weights of every attention."""
    check(random_bundle(*case, seed=number), tmp_path, beam=1 + 2 * (number % 2))


def test_every_kind_is_among_the_cases() -> None:
    for axis, kinds in AXES.items():
        default = {"score": "bilinear", "normalize": "softmax", "window": "full"}[axis]
        assert {case[1].get(axis, default).partition(":")[0] for case in CASES} == set(kinds)
    assert {case[0]["family"] for case in CASES} == Html.expresses.families


@pytest.mark.slow
@needs_node
def test_8_bits_are_the_same_8_bits(tmp_path: Path) -> None:
    bundle = random_bundle(CNN, {"score": "bilinear", "num_heads": 2})
    small = check(bundle, tmp_path, beam=2, precision="int8")
    assert [one.score for one in small] != [one.score for one in answers_of(bundle, beam=2)]


def test_one_scale_for_each_row() -> None:
    tensor = torch.tensor([[[1.0, -2.0], [0.5, 0.25]], [[0.0, 0.0], [127.0, 1.0]]])
    held, scale = round_last_axis(tensor)
    torch.testing.assert_close(scale, torch.tensor([2, 0.5, 127e-12, 127]) / 127)
    assert held.tolist() == [[[64, -127], [127, 64]], [[0, 0], [127, 1]]]


def test_shared_tensors_stand_in_a_file_once() -> None:
    named = tensors_of(folded(random_bundle(CNN)))
    assert named["decoder.output"][0] == named["decoder.embedding.table"][0]


@pytest.mark.slow
@needs_node
def test_the_model_that_comes_with_the_package(tmp_path: Path) -> None:
    bundle = Bundle.load("small-world")
    path = tmp_path / "page.html"
    Html().write([Named("small-world", bundle)], path, precision="int8")
    texts = [pair.source for pair in PAIRS[:20]]
    found = Html().run(path, texts, beam=2)
    wanted = Translator(bundle, device="cpu").translate(texts, SearchConfig(2), split=False)
    assert [one.text for one in found] == [one.text for one in wanted]
    bundle.save(tmp_path / "model", int8=True)
    stored = sum(file.stat().st_size for file in (tmp_path / "model").iterdir())
    assert path.stat().st_size < 1.4 * stored + 100_000


@needs_node
def test_a_damaged_page_is_an_error_of_one_line(tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    text = page([Named("x", random_bundle(CNN))])
    for damaged in (text[: len(text) // 2], text.replace('"name":"decoder.output"', '"name":""'), "<html></html>"):
        path.write_text(damaged, encoding="utf-8")
        with pytest.raises(ResourceError, match="the page does not run") as caught:
            Html().run(path, SENTENCES, beam=1)
        assert "\n" not in str(caught.value)


@pytest.mark.slow
@needs_node
def test_a_site_is_the_same_page_in_files(tmp_path: Path) -> None:
    models = [Named("one", random_bundle(CNN)), Named("two", random_bundle(RNN))]
    site, whole = tmp_path / "site", tmp_path / "page.html"
    site.mkdir()
    Site().write(models, site, precision="int8")
    Html().write(models, whole, precision="int8")
    for number, model in enumerate(models):
        found = [each.run(path, SENTENCES, beam=1, number=number) for each, path in ((Site(), site), (Html(), whole))]
        wanted = answers_of(model.bundle, beam=1, model=rounded(folded(model.bundle)))
        assert [one.text for one in found[0]] == [one.text for one in found[1]] == [one.text for one in wanted]
    text = (site / "index.html").read_text(encoding="utf-8")
    named = re.findall(r'(?:src|href)="(?!data:)([^"]+)"', text)
    assert sorted(named) == ["attention-map.js", "page.css", "program.js"]
    assert "connect-src 'self'" in text
    assert "<script>" not in text
    assert all((site / name).is_file() for name in named)


@pytest.mark.slow
def test_chromium_stands_in_for_node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if (browser := shutil.which("chromium")) is None:
        pytest.skip("there is no Chromium")
    monkeypatch.setattr(shutil, "which", lambda name: browser if name == "chromium" else None)
    assert Html().unavailable() is None
    found = check(random_bundle(RNN | DEEP), tmp_path, beam=2)
    assert found[1].weights.keys() == {"attention"}
    (tmp_path / "page.html").write_text(page([Named("x", random_bundle(CNN))]).replace('"shape":[', '"shape":["'))
    with pytest.raises(ResourceError, match="the page does not run"):
        Html().run(tmp_path / "page.html", SENTENCES, beam=1)
    monkeypatch.setattr(shutil, "which", lambda _: None)
    assert Html().unavailable() == "neither node nor Chromium is installed"


def test_the_page_may_load_nothing() -> None:
    text = page([Named('<b>"it"', random_bundle(CNN))])
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', text)
    policy = html.unescape(policy)
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert not re.search(r"https?:|connect-src|unsafe-inline|unsafe-eval'(?<!wasm-unsafe-eval')", policy)
    assert not re.findall(r'(?:src|href)="(?!data:)[^"]', text)
    assert "<b>" not in text
    assert not re.search(r"\b(fetch|XMLHttpRequest|WebSocket|EventSource|sendBeacon)\b", script())


def test_modules_can_stand_in_one_script() -> None:
    """Imports are left out, so each module must come after those it imports."""
    known: list[str] = []
    for name in MODULES:
        imported = re.findall(r'from "(?:\./|\S+/)(\w+)\.js"', program(f"{name}.js"))
        assert set(imported) <= set(known), name
        known.append(name)
    assert not re.search(r"^import\b", script(), re.MULTILINE)


@needs_node
def test_names_of_modules_do_not_clash(tmp_path: Path) -> None:
    (tmp_path / "all.mjs").write_text(script(), encoding="utf-8")
    done = subprocess.run(["node", "--check", tmp_path / "all.mjs"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-500:]


@pytest.mark.slow
@needs_node
def test_the_programs_parts_compute_right() -> None:
    tests = sorted(str(path) for path in Path(__file__).parent.glob("*.test.mjs"))
    done = subprocess.run(["node", "--test", *tests], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.slow
def test_the_types_of_the_scripts_are_right(node_modules: Callable[[str], Path]) -> None:
    checks = ["--noEmit", "--allowJs", "--checkJs", "--strict", "--target", "es2022", "--module", "esnext"]
    checks += ["--moduleResolution", "bundler", "--lib", "es2023,dom,dom.iterable"]
    scripts = [str(path) for path in sorted(STATIC.glob("*.js"))]
    done = subprocess.run(
        [str(node_modules(".bin/tsc")), *checks, *scripts], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
    assert all("// @ts-check" in path.read_text(encoding="utf-8") for path in STATIC.glob("*.js"))


@pytest.fixture
def opened(chromium: Any, tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """Fragment -> the page of the small world, opened from disk. Errors of scripts and requests fail the test."""
    path = tmp_path / "page.html"
    models = [Named("small-world", Bundle.load("small-world")), Named("random", random_bundle(RNN))]
    path.write_text(page(models), encoding="utf-8")
    pages: list[Any] = []
    noticed: list[str] = []

    def show(fragment: str = "", width: int = 1000) -> Any:
        shown = chromium.new_page(viewport={"width": width, "height": 800}, locale="en-US")
        pages.append(shown)
        shown.on("pageerror", lambda error: noticed.append(str(error)))
        shown.on("console", lambda message: noticed.append(message.text) if message.type == "error" else None)
        shown.on(
            "request", lambda one: None if one.url.startswith(("file:", "data:", "blob:")) else noticed.append(one.url)
        )
        shown.goto(f"{path.as_uri()}{fragment}")
        shown.wait_for_selector("#submit:not([disabled])")
        return shown

    yield show
    for shown in pages:
        shown.close()
    assert noticed == []


@pytest.mark.slow
def test_translate_by_keyboard_and_look(opened: Callable[..., Any]) -> None:
    text = "My sister bought two books yesterday. Where is the station?"
    shown = opened()
    shown.get_by_label("Source text").focus()
    shown.keyboard.type(text)
    shown.keyboard.press("Control+Enter")
    shown.wait_for_selector("#nbest input")
    translator = Translator(Bundle.load("small-world"), device="cpu")
    (wanted,) = translator.translate([text], SearchConfig(5), trace=True)
    assert shown.locator("#translation").text_content() == wanted.text
    assert shown.locator("#nbest input").count() == 5
    shown.get_by_label("Sentence").select_option("1")
    best = wanted.parts[1]
    assert shown.locator("#nbest label span").first.text_content() == best.text
    assert best.trace is not None
    matrix = best.trace.words().matrix("last")
    label = shown.locator("attention-map td[tabindex='0']").get_attribute("aria-label")
    assert f", {matrix[0, 0]:.2f}, rank" in label
    again = opened(f"#{shown.url.partition('#')[2]}")  # all of it stands in the address
    again.wait_for_selector("#nbest input")
    assert again.locator("#translation").text_content() == wanted.text
    assert again.get_by_label("Sentence").input_value() == "1"


@pytest.mark.slow
def test_a_site_loads_the_direction_that_is_chosen(chromium: Any, tmp_path: Path) -> None:
    site = tmp_path / "site"
    site.mkdir()
    models = [Named("small", Bundle.load("small-world")), Named("random", random_bundle(CNN))]
    Site().write(models, site, precision="int8")
    handler = partial(QuietHandler, directory=str(site))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        shown = chromium.new_page(locale="en-US")
        asked: list[str] = []
        shown.on("request", lambda one: asked.append(one.url.rpartition("/")[2]))
        shown.goto(f"http://127.0.0.1:{server.server_port}/index.html#text=I+love+you.&beam=1")
        shown.wait_for_selector("#nbest input")
        wanted = Translator(models[0].bundle, device="cpu")("I love you.")
        assert shown.locator("#translation").text_content() == wanted.text
        assert "model-1.bin" not in asked
        shown.get_by_label("Direction").select_option("1")
        shown.wait_for_function("() => !document.querySelector('main[aria-busy=true]')")
        assert "model-1.bin" in asked
        rough = rounded(folded(models[1].bundle))
        translator = Translator(models[1].bundle, device="cpu")
        translator.model = rough
        assert shown.locator("#translation").text_content() == translator("I love you.").text
        shown.close()
        server.shutdown()


@pytest.mark.slow
def test_every_state_is_accessible(opened: Callable[..., Any], violations: Violations) -> None:
    """Empty, translated, in both languages and colors, and narrow."""
    for width in (320, 1440):
        shown = opened("", width)
        assert violations(shown) == [], width
        shown.get_by_label("Source text").fill("I love you. 龘 1,000 xylophones.")
        shown.get_by_role("button", name="Translate").click()
        shown.wait_for_selector("attention-map [role=grid]")
        assert violations(shown) == [], width
        shown.get_by_label("Direction").select_option("1")
        shown.wait_for_selector("#direction option:nth-child(2):checked", state="attached")
        shown.wait_for_selector("main[aria-busy='false']")
        shown.get_by_label("Colors").select_option("dark")
        shown.get_by_label("Language").select_option("zh")
        assert shown.get_by_role("button", name="翻译").is_visible()
        assert violations(shown) == [], width
