"""Fonts found by what they cover."""

from pathlib import Path

import matplotlib
import pytest
from matplotlib import font_manager
from matplotlib.font_manager import FontEntry

from attentio.errors import DataError
from attentio.view import font

DATA = Path(matplotlib.get_data_path()) / "fonts" / "ttf"


def entry(name: str, **changes: object) -> FontEntry:
    return FontEntry(fname=str(DATA / f"{name}.ttf"), name=name, weight=400, **changes)


@pytest.fixture
def no_fonts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(font, "installed", list)


@pytest.mark.usefixtures("no_fonts")
def test_latin_needs_only_the_font_of_matplotlib() -> None:
    assert font.families("Größe \n don't ▁ → ␣ …") == (["DejaVu Sans"], "")


@pytest.mark.usefixtures("no_fonts")
def test_what_no_font_has_is_named_sorted() -> None:
    assert font.families("猫 is 我") == (["DejaVu Sans"], "我猫")


def test_the_font_that_covers_is_taken_and_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    # What each font of this test claims to have, whatever its name promises.
    claims = {"SimHei": "我", "Empty": "", "Other": "我猫", "Third": "ก"}
    entries = [FontEntry(fname=f"/{name}", name=name, weight=400) for name in claims]
    monkeypatch.setattr(font, "installed", lambda: entries)
    monkeypatch.setattr(font_manager.fontManager, "ttflist", [*font_manager.fontManager.ttflist, *entries])
    real = font.coverage

    def covered(path: str, index: int) -> frozenset[int]:
        return frozenset(map(ord, claims[path[1:]])) if path[1:] in claims else real(path, index)

    monkeypatch.setattr(font, "coverage", covered)
    assert font.families("我 a") == (["DejaVu Sans", "SimHei"], "")
    assert font.families("我猫") == (["DejaVu Sans", "SimHei", "Other"], "")
    assert font.families("ก猫x") == (["DejaVu Sans", "Other", "Third"], "")
    assert font.families("ก龘") == (["DejaVu Sans", "Third"], "龘")


@pytest.mark.parametrize(
    ("text", "first"),
    [("我喜欢", "Noto Sans CJK SC"), ("猫がいる", "Noto Sans CJK JP"), ("고양이 猫", "Noto Sans CJK KR")],
)
def test_han_takes_the_shape_of_its_language(monkeypatch: pytest.MonkeyPatch, text: str, first: str) -> None:
    entries = [FontEntry(name=f"Noto Sans CJK {region}") for region in ("JP", "KR", "SC")]
    monkeypatch.setattr(font, "installed", lambda: entries)
    assert next(font.candidates(text)).name == first


def test_fonts_that_draw_boxes_for_everything_do_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    # matplotlib brings such a font and lists it among the others.
    assert any(entry.name.startswith("Last Resort") for entry in font_manager.fontManager.ttflist)
    monkeypatch.setattr(font_manager, "findSystemFonts", list)
    assert not any(entry.name.startswith("Last Resort") for entry in font.installed())
    assert font.families("\U0001fae8")[1] in ("", "\U0001fae8")


def test_a_font_installed_since_matplotlib_looked_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    path = str(DATA / "STIXGeneral.ttf")
    manager = font_manager.fontManager
    monkeypatch.setattr(manager, "ttflist", [entry for entry in manager.ttflist if entry.fname != path])
    monkeypatch.setattr(font_manager, "findSystemFonts", lambda: [path, str(Path(__file__))])
    assert "STIXGeneral" in [entry.name for entry in font.installed() if entry.fname == path]


def test_fonts_of_pictures_and_broken_files_draw_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    class Bitmaps:
        face_flags = font.FaceFlags.FIXED_SIZES

        def __init__(self, *_: object, **__: object) -> None: ...

        def get_charmap(self) -> dict[int, int]:
            return {ord("🙂"): 1}

    assert font.coverage(str(tmp_path / "absent"), 0) == frozenset()
    monkeypatch.setattr(font, "FT2Font", Bitmaps)
    assert font.coverage(str(tmp_path / "bitmaps"), 0) == frozenset()


def test_a_named_file_comes_first() -> None:
    assert font.families("abc", font=DATA / "cmr10.ttf") == (["cmr10", "DejaVu Sans"], "")


def test_what_is_no_font_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such font file"):
        font.families("a", font=tmp_path / "absent.ttf")
    (tmp_path / "text.ttf").write_text("not a font", encoding="utf-8")
    with pytest.raises(DataError, match="not a font file"):
        font.families("a", font=tmp_path / "text.ttf")


def test_every_face_of_a_new_collection_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from fontTools.ttLib import TTCollection, TTFont

    collection = TTCollection()
    collection.fonts = [TTFont(DATA / "DejaVuSans.ttf"), TTFont(DATA / "DejaVuSerif.ttf")]
    path = tmp_path / "both.ttc"
    collection.save(path)
    monkeypatch.setattr(font_manager.fontManager, "ttflist", [])
    monkeypatch.setattr(font_manager, "findSystemFonts", lambda: [str(path)])
    assert [(found.name, found.index) for found in font.installed()] == [("DejaVu Sans", 0), ("DejaVu Serif", 1)]
