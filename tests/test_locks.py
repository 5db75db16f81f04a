"""The locks fit what the project declares, and say nothing of where packages come from."""

import re
import tomllib
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def lines(name: str) -> list[str]:
    text = (ROOT / name).read_text(encoding="utf-8").replace("\\\n", "")
    found = [" ".join(line.split()) for line in text.splitlines()]
    return [line for line in found if line and not line.startswith("#")]


def locked() -> dict[str, str]:
    pins = dict(
        line.partition(" ")[0].split("==")
        for name in ("requirements.lock", "requirements-hsk.lock", "requirements-triton.lock")
        for line in lines(name)
    )
    return {name.lower().replace("_", "-"): version for name, version in pins.items()}


def declared() -> list[Requirement]:
    project = PROJECT["project"]
    extras = [text for texts in project["optional-dependencies"].values() for text in texts]
    dev = [text for text in PROJECT["dependency-groups"]["dev"] if not text.startswith("attentio[")]
    return [
        Requirement(text) for text in [*project["dependencies"], *extras, *dev, *PROJECT["build-system"]["requires"]]
    ]


def test_every_declared_dependency_is_locked_at_a_version_it_allows() -> None:
    # Ray is too large for the environment of the tests and has a place of its own.
    pins = locked() | dict(re.findall(r"\b(ray)==([0-9.]+)", (ROOT / ".ci" / "run").read_text(encoding="utf-8")))
    wrong = [str(wanted) for wanted in declared() if not wanted.specifier.contains(pins.get(wanted.name.lower(), "0"))]
    assert wrong == []


def test_locks_hold_exact_versions_and_nothing_else() -> None:
    assert all(re.fullmatch(r"[a-z0-9-]+==[0-9][0-9a-z.]*", line) for line in lines("requirements.lock"))
    (hsk,) = lines("requirements-hsk.lock")
    assert re.fullmatch(r"hsk-sentences-audio==1\.0\.0 --hash=sha256:[0-9a-f]{64}", hsk)
    (triton,) = lines("requirements-triton.lock")
    assert re.fullmatch(r'triton==3\.7\.1 ; platform_system == "Linux"( --hash=sha256:[0-9a-f]{64})+', triton)
    assert locked()["torch"] == "2.13.0"
