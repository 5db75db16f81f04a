"""A package for Argos: Argos Translate installs it and writes what the model writes."""

import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from attentio.bundle import Bundle
from attentio.corpora.small_world.grammar import sample
from attentio.errors import ResourceError, UsageError
from attentio.export.argos import Argos
from attentio.export.parity import ToExport, export
from attentio.search.batched import SearchConfig, search
from attentio.text.tokenizer import SentencePieceTokenizer

pytest.importorskip("ctranslate2")
Random = Callable[..., Bundle]
KINDS = ("sentencepiece", "sentencepiece")
SENTENCES = [pair.source for pair in sample(9, seed=3)]


def write(bundle: Bundle, path: Path, **others: Any) -> Any:
    asked: dict[str, Any] = {"precision": "fp32", "beam": 1} | others
    return export(Argos(), path, [ToExport("it", bundle, SENTENCES)], **asked)


@pytest.mark.slow
def test_argos_translate_installs_it_and_writes_what_the_model_writes(
    random_transformer: Random, foreign_packages: Callable[[str], Path], tmp_path: Path
) -> None:
    packages = foreign_packages("argostranslate")
    bundle = random_transformer(seed=8, kinds=KINDS)
    with torch.no_grad():
        bundle.weights["decoder.bias"][2] += 1.5  # sentences end before the limit that Argos has
    write(bundle, tmp_path / "it.argosmodel")
    command = [sys.executable, str(Path(__file__).with_name("argos_reads.py")), str(packages)]
    home = {"HOME": str(tmp_path), "XDG_DATA_HOME": str(tmp_path), "ARGOS_PACKAGES_DIR": str(tmp_path / "packages")}
    home["ARGOS_COMPUTE_TYPE"] = "float32"  # by default it rounds to 8 bits itself
    done = subprocess.run(
        [*command, str(tmp_path / "it.argosmodel")],
        input=json.dumps(SENTENCES), capture_output=True, text=True, env={**os.environ, **home}, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found[0]["names"] == ["English", "Chinese"]
    ids = [bundle.source.tokenizer.encode(text) for text in SENTENCES]
    wanted = search(bundle.ready(), ids, SearchConfig(4, 0.2))  # as Argos searches
    texts = [bundle.target.tokenizer.decode(best.tokens) for best, *_ in wanted]
    pairs = [(one["text"], text) for one, text in zip(found, texts, strict=True) if text]  # Argos leaves none empty
    assert len(pairs) >= 6
    assert sum(text != wanted for text, wanted in pairs) <= 1, pairs  # its beam ends by another rule


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_a_package_is_compared_as_argos_reads_it(random_transformer: Random, precision: str, tmp_path: Path) -> None:
    bundle = random_transformer({"hidden_size": 48}, seed=2, kinds=("sentencepiece", "char"))
    references = [["我"]] * len(SENTENCES)
    model = ToExport("it", bundle, SENTENCES, references)
    report = export(Argos(), tmp_path / "it.argosmodel", [model], precision=precision, beam=1)
    first = report.agreements[0]
    assert first.same + first.ties == len(SENTENCES)
    with zipfile.ZipFile(tmp_path / "it.argosmodel") as package:
        names = set(package.namelist())
        metadata = json.loads(package.read("translate-en_zh-1_0/metadata.json"))
        spm = package.read("translate-en_zh-1_0/sentencepiece.model")
    assert {"translate-en_zh-1_0/model/model.bin", "translate-en_zh-1_0/README.md"} <= names
    assert (metadata["from_code"], metadata["to_name"]) == ("en", "Chinese")
    assert isinstance(bundle.source.tokenizer, SentencePieceTokenizer)
    assert spm == bundle.source.tokenizer.model
    export(Argos(), tmp_path / "again", [model], precision=precision, beam=1)
    assert (tmp_path / "again").read_bytes() == (tmp_path / "it.argosmodel").read_bytes()


def test_traditional_chinese_has_the_code_of_argos(random_transformer: Random, tmp_path: Path) -> None:
    bundle = random_transformer(kinds=KINDS)
    bundle = replace(bundle, target=replace(bundle.target, language="zh-TW"))
    write(bundle, tmp_path / "it", unchecked=True)
    assert zipfile.ZipFile(tmp_path / "it").namelist()[0].startswith("translate-en_zt-1_0/")


def test_a_model_that_learned_without_numbers_is_told_of(random_transformer: Random) -> None:
    bundle = random_transformer(kinds=KINDS)
    assert Argos().notes(replace(bundle, placeholders=False)) == []
    (note,) = Argos().notes(replace(bundle, placeholders=True))
    assert "data.placeholders=false" in note


def test_tokenizers_that_argos_lacks_are_refused_by_name(random_transformer: Random) -> None:
    assert Argos().refusals(random_transformer()) == ["a source tokenizer of the kind 'char'"]
    bundle = random_transformer(kinds=("sentencepiece", "word"))
    assert Argos().refusals(bundle) == ["a target tokenizer of the kind 'word'"]
    assert isinstance(bundle.source.tokenizer, SentencePieceTokenizer)
    lowered = SentencePieceTokenizer(bundle.source.tokenizer.model, lowercase=True)
    bundle = replace(bundle, source=replace(bundle.source, tokenizer=lowered))
    assert Argos().refusals(bundle)[0] == "a source tokenizer of the kind 'sentencepiece' that reads lower case"
    assert Argos().refusals(Bundle.load("small-world"))[0] == "model.family = 'cnn'"


def test_languages_must_be_known(random_transformer: Random, tmp_path: Path) -> None:
    bundle = random_transformer(kinds=KINDS)
    with pytest.raises(UsageError, match="the target language of this model is not known"):
        write(replace(bundle, target=replace(bundle.target, language=None)), tmp_path / "it")
    assert list(tmp_path.iterdir()) == []


def test_a_package_that_is_cut_off_does_not_run(random_transformer: Random, tmp_path: Path) -> None:
    path = tmp_path / "it.argosmodel"
    write(random_transformer(kinds=KINDS), path, unchecked=True)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ResourceError, match="the package does not run"):
        Argos().run(path, SENTENCES, beam=1)
