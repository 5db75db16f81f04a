"""What OpenAPI says is what the server does: Schemathesis tries every operation.

Here it tries a few cases. By hand: `schemathesis run http://127.0.0.1:5000/openapi.json --max-examples 1000`.
"""

import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

schemathesis = pytest.importorskip("schemathesis")
checks = pytest.importorskip("schemathesis.checks")
# OpenAPI cannot say that a file needs a known ending, or how lines of entries are written, and that one empty text in
# a form is none where two are two.
UNSAID = {
    ("/v2/glossaries", "application/json"): checks.positive_data_acceptance,
    ("/translate_file", "multipart/form-data"): checks.positive_data_acceptance,
    ("/translate", "application/x-www-form-urlencoded"): checks.negative_data_rejection,
    ("/detect", "application/x-www-form-urlencoded"): checks.negative_data_rejection,
}
PATHS = ["/translate", "/detect", "/translate_file", "/suggest", "/v2/translate", "/v2/languages", "/v2/usage"]
PATHS += ["/v2/glossaries", "/v2/glossaries/{name}", "/v2/glossaries/{name}/entries", "/v2/glossary-language-pairs"]
PATHS += ["/immersive", "/v1/chat/completions", "/v1/models", "/v1/models/{name}", "/api/v1/translate"]
PATHS += ["/languages", "/frontend/settings", "/download_file/{name}", "/health", "/ready", "/metrics"]


@pytest.fixture(scope="module")
def schema() -> Iterator[Any]:
    """What a server in another process says of itself. Python 3.11 fails to parse source in two threads at once."""
    command = [sys.executable, "-m", "attentio", "serve", "small-world", "--port", "0", "--beam", "1"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        found = next(filter(None, (re.search(r"serving (http://\S+)/ ", line) for line in process.stderr)))
        yield schemathesis.openapi.from_url(f"{found[1]}/openapi.json")
        process.kill()


def test_every_operation_is_described(served: Any) -> None:
    content = served.client.get("/openapi.json").json()
    assert set(content["paths"]) == set(PATHS)
    assert all(method.get("tags") for path in content["paths"].values() for method in path.values())


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("path", PATHS)
def test_nothing_is_found_in_some_cases(path: str, schema: Any) -> None:
    operations = [each.ok() for each in schema.get_all_operations() if each.ok().path == path]
    modes, phases = schemathesis.GenerationMode, [Phase.generate]

    @settings(max_examples=8, derandomize=True, database=None, phases=phases, suppress_health_check=list(HealthCheck))
    @given(st.one_of(*(each.as_strategy(generation_mode=mode) for mode in modes for each in operations)))
    def check(case: Any) -> None:
        unsaid = UNSAID.get((path, case.media_type))
        case.call_and_validate(excluded_checks=[] if unsaid is None else [unsaid])

    check()
