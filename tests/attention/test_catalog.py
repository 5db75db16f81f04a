"""The catalogue names every kind, and the example shows what each can and cannot learn."""

import json
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from attentio.attention import NORMALIZERS, SCORES, WINDOWS
from attentio.attention.catalog import CATALOG, entry
from attentio.attention.example import ORDER, SOURCE, TARGET, example_attention, learn
from attentio.cli.attention import app
from attentio.errors import UsageError

# Of the seven words, how many a kind must find. "yesterday", last in the source, is the second word of the target: it
# is out of reach where a window ends before it, and whoever walks there cannot walk back.
CAN_FIND = dict.fromkeys((kind.name for kind in CATALOG), 7) | {
    "linear_concat": 0,
    "causal": 6,
    "sliding": 6,
    "local-m": 6,
    "local-p": 5,
    "local-p-renormalized": 5,
    "monotonic": 4,
    "mocha": 4,
}


def test_every_name_has_an_entry_and_every_entry_a_name():
    for axis, registry in (("score", SCORES), ("normalize", NORMALIZERS), ("window", WINDOWS)):
        assert [kind.name for kind in CATALOG if kind.axis == axis] == list(registry)
    assert all(all(vars(kind).values()) for kind in CATALOG)
    assert entry("local-p").paper.startswith("Luong")


@pytest.mark.parametrize("name", CAN_FIND)
def test_every_kind_learns_the_example_or_shows_why_it_cannot(name):
    weights = learn(example_attention(name))
    assert weights.shape == (7, 7)
    found = sum(weights.argmax(-1)[i] == j and weights[i, j] > 0.5 for i, j in enumerate(ORDER))
    assert found >= CAN_FIND[name]
    if name == "linear_concat":
        torch.testing.assert_close(weights, weights[:1].expand(7, 7))
    if name in ("causal", "sliding", "local-m"):
        assert weights[1, 6] == 0
    if name == "monotonic":
        reached = torch.where(weights.sum(-1) > 0, weights.argmax(-1), 7)
        assert (reached.diff() >= 0).all()


def run(*arguments):
    return CliRunner().invoke(app, arguments)


def test_list_prints_the_taxonomy_in_both_languages():
    result = run("list")
    assert result.exit_code == 0
    for kind in CATALOG:
        assert kind.name in result.stdout
    assert "按计算区域" in result.stdout
    kinds = json.loads(run("list", "--json").stdout)["kinds"]
    assert [kind["name"] for kind in kinds] == [kind.name for kind in CATALOG]


def test_show_prints_formula_paper_cost_trap_and_a_picture():
    result = run("show", "causal")
    assert result.exit_code == 0
    for text in ("j ≤ i", "Vaswani", "Half the pairs", "`step` carries it", "yesterday", "昨天"):
        assert text in result.stdout
    shown = json.loads(run("show", "causal", "--json").stdout)
    assert shown["example"]["source"] == list(SOURCE)
    assert shown["example"]["target"] == list(TARGET)
    assert shown["example"]["weights"][0][0] == 1


def test_an_unknown_kind_is_answered_with_the_nearest():
    result = run("show", "local_p")
    assert isinstance(result.exception, UsageError)
    assert "Did you mean 'local-p'?" in str(result.exception)
    assert "attention list" in str(run("show", "zzz").exception)


def test_the_pages_are_what_the_catalogue_says():
    folder = Path(__file__).resolve().parents[2] / "docs" / "attention"
    specification = spec_from_file_location("generate_attention", folder / "generate.py")
    generate = module_from_spec(specification)
    specification.loader.exec_module(generate)
    for kind in CATALOG:
        assert (folder / f"{kind.name}.md").read_text(encoding="utf-8") == "\n".join([*generate.page(kind), ""])
        assert (folder / "images" / f"{kind.name}.svg").is_file()
    assert (folder / "README.md").read_text(encoding="utf-8") == generate.index()
    assert {page.stem for page in folder.glob("*.md")} == {kind.name for kind in CATALOG} | {"README"}
