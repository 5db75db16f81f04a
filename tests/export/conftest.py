"""What tests of exported files share: node, and programs of the page run in it."""

import json
import shutil
import subprocess
from collections.abc import Callable
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
