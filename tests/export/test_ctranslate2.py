"""A folder for CTranslate2: the gate compares it by CTranslate2 itself, and what was around the model comes back."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from attentio.bundle import Bundle
from attentio.corpora.small_world.grammar import sample
from attentio.errors import QualityGate, ResourceError, UsageError
from attentio.export import FORMATS
from attentio.export.ctranslate2 import CTranslate2Folder
from attentio.export.format import Named, check_expressed
from attentio.export.parity import ToExport, export
from attentio.foreign.asked import Asked
from attentio.foreign.ctranslate2 import read

pytest.importorskip("ctranslate2")
Random = Callable[..., Bundle]
SENTENCES = [pair.source for pair in sample(9, seed=3)]


def write(bundle: Bundle, folder: Path, **others: Any) -> Any:
    asked: dict[str, Any] = {"precision": "fp32", "beam": 1} | others
    return export(
        CTranslate2Folder(), folder, [ToExport("it", bundle, SENTENCES, asked.pop("references", None))], **asked
    )


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_what_ctranslate2_computes_is_compared(random_transformer: Random, precision: str, tmp_path: Path) -> None:
    bundle = random_transformer({"hidden_size": 48}, seed=2)
    report = write(bundle, tmp_path / "it", precision=precision, references=[["我"]] * len(SENTENCES))
    assert {one.against for one in report.agreements} == (
        {"the model"} if precision == "fp32" else {"the model in 8 bits", "the model"}
    )
    first = report.agreements[0]
    assert first.same + first.ties == len(SENTENCES)
    assert first.difference < 1e-4
    assert (tmp_path / "it" / "model.bin").stat().st_size < report.bytes


def test_all_that_is_around_comes_back(random_transformer: Random, tmp_path: Path) -> None:
    bundle = random_transformer({"share_embeddings": True}, {"score": "dot"})
    write(bundle, tmp_path / "it")
    back = read(tmp_path / "it", Asked())
    assert back.architecture.model == bundle.architecture.model
    assert (back.longest_source, back.source.language, back.target.language) == (64, "en", None)
    assert back.target.tokenizer.tokens == bundle.target.tokenizer.tokens
    write(back, tmp_path / "again")
    assert (tmp_path / "again" / "model.bin").read_bytes() == (tmp_path / "it" / "model.bin").read_bytes()


def test_another_search_is_told_from_other_arithmetic(random_transformer: Random, tmp_path: Path) -> None:
    """A file of another model is refused, whatever scores it claims."""

    class Other(CTranslate2Folder):  # type: ignore[misc]
        def write(self, models: Any, path: Path, *, precision: str) -> None:
            super().write([Named("other", random_transformer(seed=9))], path, precision=precision)

    model = ToExport("it", random_transformer(seed=1), SENTENCES)
    with pytest.raises(QualityGate, match="the ctranslate2 file disagrees with the model"):
        export(Other(), tmp_path / "it", [model], precision="fp32", beam=3)
    assert list(tmp_path.iterdir()) == []


def test_a_setting_is_refused_with_the_formats_that_can() -> None:
    others = [FORMATS["html"], FORMATS["site"]]
    with pytest.raises(UsageError) as caught:
        check_expressed(FORMATS["ctranslate2"], Bundle.load("small-world"), others)
    assert caught.value.message == "ctranslate2 cannot express model.family = 'cnn'."
    assert caught.value.hint == "Formats that can: html, site."


def test_a_folder_that_is_cut_off_does_not_run(random_transformer: Random, tmp_path: Path) -> None:
    write(random_transformer(), tmp_path / "it")
    path = tmp_path / "it" / "model.bin"
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(ResourceError, match="no whole model of CTranslate2"):
        CTranslate2Folder().run(tmp_path / "it", SENTENCES, beam=1)


def test_the_folder_says_how_texts_become_tokens(random_transformer: Random, tmp_path: Path) -> None:
    write(random_transformer(), tmp_path / "it")
    config = json.loads((tmp_path / "it" / "config.json").read_text(encoding="utf-8"))
    assert config["add_source_eos"]
    assert (config["decoder_start_token"], config["unk_token"]) == ("<s>", "<unk>")
    assert {path.name for path in (tmp_path / "it").iterdir()} >= {"attentio.json", "source.tokenizer"}
