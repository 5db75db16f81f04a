"""The verb `align`."""

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from attentio.cli.align import align
from attentio.errors import DataError

app = typer.Typer()
app.command()(align)


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    # Sure 1-1 and 2-3 counted from 1, possible 2-2; the system, counted from 0, links 0-0, 1-1 and 2-1.
    gold, links = tmp_path / "gold", tmp_path / "links"
    gold.write_text("1-1 2-3 2p2\n", encoding="utf-8")
    links.write_text("0-0 1-1 2-1\n", encoding="utf-8")
    return gold, links


def test_one_line_in_percent(files: tuple[Path, Path]) -> None:
    result = run(*files, "--gold-index", 1, "--index", 0)
    assert result.exit_code == 0
    assert result.stdout == (
        "AER 40.00   precision 66.67   recall 50.00   3 links, 2 sure and 1 only possible gold links, 1 sentences\n"
    )


def test_json_is_one_object(files: tuple[Path, Path]) -> None:
    result = run(*files, "--gold-index", 1, "--index", 0, "--json")
    fields = json.loads(result.stdout)
    assert fields["schema"] == 1
    assert fields["error_rate"] == pytest.approx(0.4)
    assert fields["links"] == 3


@pytest.mark.parametrize("options", [(), ("--index", 0), ("--gold-index", 1), ("--gold-index", 2, "--index", 0)])
def test_where_counting_begins_must_be_said(files: tuple[Path, Path], options: tuple[object, ...]) -> None:
    assert run(*files, *options).exit_code == 2


def test_links_out_of_range_are_refused_with_the_line(files: tuple[Path, Path], tmp_path: Path) -> None:
    result = run(*files, "--gold-index", 1, "--index", 1)
    assert isinstance(result.exception, DataError)
    assert result.exception.line == 1
    assert "0-0, out of range when counted from 1" in str(result.exception)
    (tmp_path / "text").write_text("a b ||| c d e\n", encoding="utf-8")
    result = run(*files, "--gold-index", 1, "--index", 0, "--sentences", tmp_path / "text")
    assert "links line 1 has the link 2-1, out of range when counted from 0" in str(result.exception)


def test_files_of_different_lengths_are_named(files: tuple[Path, Path]) -> None:
    gold, links = files
    links.write_text("0-0\n\n1-1\n", encoding="utf-8")
    result = run(gold, links, "--gold-index", 1, "--index", 0)
    assert isinstance(result.exception, DataError)
    assert result.exception.message == f"{links} has 3 lines, {gold} has 1."


def test_nothing_linked_is_undefined_not_zero(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.write_text("\n\n", encoding="utf-8")
    result = run(empty, empty, "--gold-index", 1, "--index", 0)
    assert result.stdout.startswith("AER undefined   precision undefined")
    assert json.loads(run(empty, empty, "--gold-index", 1, "--index", 0, "--json").stdout)["error_rate"] is None


@pytest.mark.parametrize(("pair", "rate"), [("zhen", "13.31"), ("roen", "20.75")])
def test_known_systems(shared_data: Path, pair: str, rate: str) -> None:
    folder = shared_data / "align"
    result = run(folder / f"{pair}.gold", folder / f"{pair}.awesome-align.out", "--gold-index", 1, "--index", 0)
    assert result.stdout.startswith(f"AER {rate} ")
