"""The notebooks for readers run from top to bottom, and are the same in English and Chinese but for their words."""

import re
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "examples" / "notebooks"
NAMES = sorted({path.name.split(".")[0] for path in FOLDER.glob("*.ipynb")})
MAPS = {"training-and-looking": 2, "is-attention-an-explanation": 1}
"""Notebooks that show maps, with the number of cells that do."""
nbformat: Any = pytest.importorskip("nbformat")


def read(name: str, language: str) -> Any:
    return nbformat.read(FOLDER / f"{name}.{language}.ipynb", as_version=4)


@pytest.mark.parametrize("name", NAMES)
def test_both_languages_have_the_same_cells_and_no_results(name: str) -> None:
    english, chinese = read(name, "en"), read(name, "zh")
    assert [(cell.cell_type, cell.id) for cell in english.cells] == [
        (cell.cell_type, cell.id) for cell in chinese.cells
    ]
    for one, other in zip(english.cells, chinese.cells, strict=True):
        if one.cell_type == "code":
            assert one.source == other.source
            for cell in (one, other):
                assert (cell.outputs, cell.execution_count, dict(cell.metadata)) == ([], None, {})
        else:
            assert re.search("[\u4e00-\u9fff]", other.source), other.source
            assert one.source.count("\n#") == other.source.count("\n#")
            assert set(re.findall(r"`[^`]+`", one.source)) == set(re.findall(r"`[^`]+`", other.source))
    for notebook in (english, chinese):
        nbformat.validate(notebook)


def test_every_notebook_is_listed() -> None:
    page = (ROOT / "docs" / "notebooks.md").read_text(encoding="utf-8")
    listed = re.findall(r"\(\.\./examples/notebooks/([\w.-]+)\)", page)
    assert sorted(listed) == sorted(path.name for path in FOLDER.iterdir())


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_runs(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its cells check their claims themselves."""
    nbclient = pytest.importorskip("nbclient")
    for variable in ("IPYTHONDIR", "JUPYTER_CONFIG_DIR"):
        monkeypatch.setenv(variable, str(tmp_path / variable))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    notebook = read(name, "en")
    work = {"metadata": {"path": str(tmp_path)}}
    nbclient.NotebookClient(notebook, kernel_name="python3", timeout=600, resources=work).execute()
    results = [result for cell in notebook.cells if cell.cell_type == "code" for result in cell.outputs]
    assert [result.text for result in results if result.get("name") == "stderr"] == []
    shown = [result.data["text/html"] for result in results if "text/html" in result.get("data", {})]
    assert len(shown) == MAPS.get(name, 0)
    assert all("&lt;attention-map" in text for text in shown)
