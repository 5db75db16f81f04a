"""`attentio attention list` and `show`, and the pages that are made from the classes of the kinds."""

import json
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest
from typer.testing import CliRunner

from attentio.attention import AXES
from attentio.attention.registry import find
from attentio.cli.attention import app
from attentio.errors import UsageError
from attentio.testing.example import SOURCE, TARGET, tried_values, with_option

NAMES = [name for kinds in AXES.values() for name in kinds]


def run(*arguments):
    return CliRunner().invoke(app, arguments)


def test_list_prints_the_taxonomy_in_both_languages():
    result = run("list")
    assert result.exit_code == 0
    for name in NAMES:
        assert name in result.stdout
    assert "按计算区域" in result.stdout
    kinds = json.loads(run("list", "--json").stdout)["kinds"]
    assert [kind["name"] for kind in kinds] == NAMES
    (local,) = [kind for kind in kinds if kind["name"] == "local-p"]
    assert local["axis"] == "window"
    assert local["paper"].startswith("Luong")
    assert [(option["name"], option["type"], option["default"]) for option in local["options"]] == [
        ("radius", "int", 10),
        ("renormalize", "bool", False),
    ]


@pytest.mark.slow
def test_show_prints_formula_options_paper_cost_trap_and_a_picture():
    result = run("show", "local-p:3")
    assert result.exit_code == 0
    for text in ("local-p:3", "exp(-(j", "radius = 10", "Luong", "small layer", "less than 1", "yesterday", "昨天"):
        assert text in result.stdout
    shown = json.loads(run("show", "causal", "--json").stdout)
    assert shown["name"] == "causal"
    assert shown["example"]["source"] == list(SOURCE)
    assert shown["example"]["target"] == list(TARGET)
    assert shown["example"]["weights"][0][0] == 1


def test_an_unknown_kind_is_answered_with_the_nearest():
    result = run("show", "local_p")
    assert isinstance(result.exception, UsageError)
    assert "Did you mean 'local-p'?" in str(result.exception)
    assert "attention list" in str(run("show", "zzz").exception)
    assert "no option 'width'" in str(run("show", "sliding:width=3").exception)


@pytest.mark.slow
def test_a_kind_of_ones_own_without_a_description_is_shown(tmp_path, monkeypatch):
    source = "from attentio.attention.score import Dot\nclass Mine(Dot):\n    pass\n"
    (tmp_path / "shown_kind.py").write_text(source)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ATTENTIO_ALLOW_KINDS", "")
    monkeypatch.setattr(sys, "path", [*sys.path])
    assert "shown_kind:Mine" in run("show", "shown_kind:Mine").stdout
    del sys.modules["shown_kind"]


def test_the_pages_are_what_the_classes_say():
    folder = Path(__file__).resolve().parents[2] / "docs" / "attention"
    specification = spec_from_file_location("generate_attention", folder / "generate.py")
    generate = module_from_spec(specification)
    specification.loader.exec_module(generate)
    for axis, kind in generate.PAGES:
        name = kind.about.name
        assert (folder / f"{name}.md").read_text(encoding="utf-8") == "\n".join([*generate.page(axis, kind), ""])
        assert (folder / "images" / f"{name}.svg").is_file()
    assert (folder / "README.md").read_text(encoding="utf-8") == generate.index()
    assert {page.stem for page in folder.glob("*.md")} == {*NAMES, "README"}
    assert {picture.stem for picture in (folder / "images").iterdir()} == set(NAMES)


@pytest.mark.slow
def test_values_tried_of_an_option_hold_its_own_and_only_what_the_class_allows():
    for name in NAMES:
        for option, (values, at) in tried_values(name).items():
            assert len(values) == len(set(map(str, values))) > 1
            assert values == sorted(values)
            for value in values:
                find(with_option(name, option, value))
            default = find(name)[1].kind.options()[option].default
            assert values[at] == {"radius": 2, "hidden_size": 24}.get(option, default)
    assert tried_values("dot") == {}
    assert "max_length" in tried_values("location")
    assert min(tried_values("location")["max_length"].values) >= len(SOURCE)


@pytest.mark.slow
def test_a_page_has_a_map_for_every_value(tmp_path):
    path = tmp_path / "kind.html"
    result = run("show", "local-m:3", "--html", str(path))
    assert result.exit_code == 0
    page = path.read_text(encoding="utf-8")
    (tried,) = tried_values("local-m:3").values()
    assert [f'data-map="radius={value}"' in page for value in tried.values] == [True] * len(tried.values)
    assert "min(i, S - 1)" in page
    assert str(tried.values[tried.at]) == "3"
