"""Clients that others wrote work against the server, unchanged."""

import asyncio
import io
import json
import os
import shutil
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from attentio.translator import Translator

TEXT = "My sister bought two books yesterday."
OTHER = "I love you."
# They leave connections open for Python to find.
untidy = pytest.mark.filterwarnings(
    "ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning", "ignore::DeprecationWarning"
)


@pytest.fixture(scope="module")
def expected(small_world: Translator) -> tuple[str, str]:
    """What the two texts are alone."""
    from attentio.search.batched import SearchConfig

    first, second = (small_world.translate([text], SearchConfig(5))[0].text for text in (TEXT, OTHER))
    assert first != second
    return first, second


@pytest.mark.slow
@untidy
def test_libretranslatepy(served: Any, expected: tuple[str, str]) -> None:
    client = pytest.importorskip("libretranslatepy").LibreTranslateAPI(f"{served.url}/")
    assert client.translate(TEXT, "en", "zh") == expected[0]
    assert client.translate(OTHER, "auto", "zh-Hans") == expected[1]
    assert client.detect(TEXT)[0]["language"] == "en"
    assert client.languages()[0] == {"code": "en", "name": "English", "targets": ["zh-Hans"]}


def check_aio(client: Any, expected: tuple[str, str]) -> Any:
    """Yields what the synchronous and the asynchronous client ask alike, and checks what comes back."""
    found = yield client.translate(TEXT, "en", "zh", alternatives=2)
    assert found.translated_text == expected[0]
    assert len(found.alternatives) == len({*found.alternatives} - {expected[0]}) == 2
    found = yield client.translate([TEXT, OTHER], "auto", "zh")
    assert found.translated_text == list(expected)  # a form that repeats q is a list here
    assert [each.language for each in found.detected_language] == ["en", "en"]
    detected = yield client.detect(TEXT)
    assert detected[0].language == "en"
    languages = yield client.languages()
    assert [each.code for each in languages] == ["en", "zh-Hans"]
    settings = yield client.frontend_settings()
    assert (settings.char_limit, settings.key_required) == (5000, False)
    assert (yield client.health())


@pytest.mark.slow
def test_libretranslate_aio(served: Any, expected: tuple[str, str]) -> None:
    aio = pytest.importorskip("libretranslate_aio")
    srt = io.BytesIO(f"1\n00:00:01,000 --> 00:00:02,000\n{TEXT}\n".encode())
    srt.name = "film.srt"
    with aio.LibreTranslate(served.url) as client:
        address = client.translate_file(srt, "en", "zh").translated_file_url
        assert served.client.get(address).text == f"1\n00:00:01,000 --> 00:00:02,000\n{expected[0]}\n"
        asked, answer = check_aio(client, expected), None
        try:
            while True:
                answer = asked.send(answer)
        except StopIteration:
            pass
        with pytest.raises(aio.BadRequestError, match="xx is not supported"):
            client.translate(TEXT, "en", "xx")
        with pytest.raises(aio.ForbiddenError, match="disabled"):
            client.suggest(TEXT, "x", "en", "zh")

    async def at_once() -> None:
        async with aio.AsyncLibreTranslate(served.url) as client:
            asked, answer = check_aio(client, expected), None
            try:
                while True:
                    answer = await asked.send(answer)
            except StopIteration:
                pass
            many = await asyncio.gather(*(client.translate(text, "en", "zh") for text in [TEXT, OTHER] * 8))
            assert [each.translated_text for each in many] == list(expected) * 8

    with ThreadPoolExecutor(1) as thread:  # a browser of other tests keeps a loop in this one
        thread.submit(asyncio.run, at_once()).result()


@untidy
def test_deep_translator(served: Any, expected: tuple[str, str]) -> None:
    deep_translator = pytest.importorskip("deep_translator")
    client = deep_translator.LibreTranslator("en", "zh", api_key="none", custom_url=f"{served.url}/")
    assert client.translate(TEXT) == expected[0]
    assert client.translate_batch([TEXT, OTHER]) == list(expected)


@untidy
def test_deepl(served: Any, expected: tuple[str, str]) -> None:
    deepl = pytest.importorskip("deepl")
    deepl.http_client.max_network_retries = 0
    with closing(deepl.Translator("none-needed", server_url=served.url, send_platform_info=False)) as client:
        found = client.translate_text([TEXT, OTHER], target_lang="ZH")
        assert [each.text for each in found] == list(expected)
        assert {each.detected_source_lang for each in found} == {"EN"}
        assert [each.billed_characters for each in found] == [len(TEXT), len(OTHER)]
        assert client.translate_text(TEXT, source_lang="EN", target_lang="ZH-HANS").text == expected[0]
        assert [each.code for each in client.get_source_languages()] == ["EN"]
        assert [each.code for each in client.get_target_languages()] == ["ZH", "ZH-HANS"]
        usage = client.get_usage()
        assert usage.character.count >= 2 * len(TEXT) + len(OTHER)
        assert not usage.any_limit_reached
        (pair,) = client.get_glossary_languages()
        assert (pair.source_lang, pair.target_lang) == ("en", "zh")
        made = client.create_glossary("mine", "EN", "ZH", {"books": "图书", "a,b": "c"})
        assert (made.name, made.entry_count, made.ready) == ("mine", 2, True)
        assert [each.glossary_id for each in client.list_glossaries()] == [made.glossary_id]
        assert client.get_glossary_entries(made) == {"books": "图书", "a,b": "c"}
        found = client.translate_text(TEXT, source_lang="EN", target_lang="ZH", glossary=made)
        assert "图书" in found.text
        client.delete_glossary(made)
        with pytest.raises(deepl.GlossaryNotFoundException):
            client.get_glossary(made.glossary_id)
        table = client.create_glossary_from_csv("mine", "EN", "ZH", 'books,"图,书"\n')
        assert client.get_glossary_entries(table) == {"books": "图,书"}
        client.delete_glossary(table)
        with pytest.raises(deepl.DeepLException, match="DE is not supported"):
            client.translate_text(TEXT, target_lang="DE")


@pytest.mark.slow
def test_openai(served: Any, expected: tuple[str, str]) -> None:
    openai = pytest.importorskip("openai")
    with openai.OpenAI(base_url=f"{served.url}/v1", api_key="none-needed", max_retries=0) as client:
        assert [model.id for model in client.models.list()] == ["attentio/en-zh-Hans", "small-world"]
        messages = [{"role": "system", "content": "Translate."}, {"role": "user", "content": TEXT}]
        found = client.chat.completions.create(model="attentio/en-zh", messages=messages)
        assert found.choices[0].message.content == expected[0]
        assert found.usage.total_tokens == found.usage.prompt_tokens + found.usage.completion_tokens > 0
        two = [{"role": "user", "content": f"{TEXT} {OTHER}"}]
        told = {"include_usage": True}
        with client.chat.completions.create(
            model="small-world", messages=two, stream=True, stream_options=told
        ) as stream:
            chunks = list(stream)
        parts = [each.choices[0].delta.content for each in chunks if each.choices and each.choices[0].delta.content]
        assert parts == list(expected)
        assert chunks[-1].usage.completion_tokens > 0
        with pytest.raises(openai.NotFoundError, match="no such model"):
            client.chat.completions.create(model="gpt-4", messages=messages)


NODE = {
    "libretranslate-ts": """
        const { libreTranslate: client } = require("libretranslate-ts");
        (async () => {
          client.setApiEndpoint(URL_OF_SERVER);
          const found = await client.translate(TEXT, "en", "zh", 2);
          console.log(JSON.stringify([found, await client.listLanguages(), await client.detect(TEXT)]));
        })();""",
    "translate": """
        (async () => {
          const { Translate } = await import("translate");
          const translate = Translate({ engine: "libre", url: URL_OF_SERVER + "/translate", from: "en", key: null });
          console.log(JSON.stringify([await translate(TEXT, "zh")]));
        })();""",
    "deepl-node": """
        const deepl = require("deepl-node");
        (async () => {
          const client = new deepl.Translator("none-needed", { serverUrl: URL_OF_SERVER, maxRetries: 0 });
          const [one, other] = await client.translateText([TEXT, OTHER], null, "zh");
          const languages = await client.getTargetLanguages();
          const usage = await client.getUsage();
          const codes = languages.map((each) => each.code);
          console.log(JSON.stringify([one.text, other.text, codes, usage.character.count]));
        })();""",
}


def run_node(name: str, url: str, folder: Path) -> Any:
    node = shutil.which("node")
    if node is None:
        pytest.skip("there is no node")
    program = f"const URL_OF_SERVER = {json.dumps(url)}, TEXT = {json.dumps(TEXT)}, OTHER = {json.dumps(OTHER)};"
    done = subprocess.run(
        [node, "-e", program + NODE[name]],
        cwd=folder,
        env={**os.environ, "NODE_PATH": str(folder / "node_modules")},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_libretranslate_of_node(served: Any, expected: tuple[str, str], node_modules: Callable[[str], Path]) -> None:
    folder = node_modules("libretranslate-ts").parents[1]
    found, languages, detected = run_node("libretranslate-ts", served.url, folder)
    assert (found["status"], found["translatedText"], len(found["alternatives"])) == (200, expected[0], 2)
    assert languages[0]["code"] == "en"
    assert detected["language"] == "en"


@pytest.mark.slow
def test_translate_of_node(served: Any, expected: tuple[str, str], node_modules: Callable[[str], Path]) -> None:
    folder = node_modules("translate").parents[1]
    assert run_node("translate", served.url, folder) == [expected[0]]


@pytest.mark.slow
def test_deepl_of_node(served: Any, expected: tuple[str, str], node_modules: Callable[[str], Path]) -> None:
    folder = node_modules("deepl-node").parents[1]
    one, other, languages, count = run_node("deepl-node", served.url, folder)
    assert (one, other) == expected
    assert languages == ["zh", "zh-HANS"]
    assert count > 0
