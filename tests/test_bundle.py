"""A bundle is whole and belongs together, or it is said which file is amiss. Models of every format open."""

import dataclasses
import json
import shutil
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from attentio.bundle import FORMAT, MIGRATIONS, Architecture, Bundle, Side
from attentio.errors import ModelError, ResourceError
from attentio.model.families import build_model
from attentio.model.fast import linear
from attentio.model.settings import AttentionConfig, RNNConfig
from attentio.runtime.sealed import seal
from attentio.search.batched import SearchConfig
from attentio.text.clean import Cleaner
from attentio.text.learn import train_tokenizer
from attentio.train.folder import Run
from attentio.translator import Translator

STORED = Path(__file__).parent / "bundles"
STORED_MODELS = sorted(path for path in STORED.glob("format-*/*") if path.is_dir())
ENGLISH, CHINESE = ["the cat sees a dog", "i read books"], ["猫看见一只狗。", "我看书。"]


def small(*, seed: int = 1) -> Bundle:
    """A bundle of random weights, made without training."""
    source, target = train_tokenizer("word", ENGLISH), train_tokenizer("char", CHINESE)
    config = RNNConfig(embedding_size=6, hidden_size=8)
    torch.manual_seed(seed)
    model = build_model(config, AttentionConfig(), source.vocab_size, target.vocab_size)
    return Bundle(
        Architecture(model=config),
        model.unique_state_dict(),
        Side(source, Cleaner(), "en"),
        Side(target, Cleaner(han=True, script="simplified"), "zh"),
        max_length=17,
        metadata={"note": "made by hand"},
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A stored bundle that may be damaged."""
    small().save(tmp_path / "model")
    return tmp_path / "model"


def refused(path: Path) -> ModelError:
    with pytest.raises(ModelError) as caught:
        Bundle.load(path).ready()
    assert caught.value.exit_status == 4
    assert "\n" not in str(caught.value)
    return caught.value


def resealed(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change the manifest and seal it again, as if it had been written so."""
    held = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    change(held)
    seal(folder, {name: value for name, value in held.items() if name not in ("files", "sha256")})


def same(first: Bundle, second: Bundle) -> bool:
    return (
        first.architecture == second.architecture
        and first.weights.keys() == second.weights.keys()
        and all(torch.equal(first.weights[name], second.weights[name]) for name in first.weights)
        and all(
            (a.tokenizer.to_bytes(), a.cleaner, a.language) == (b.tokenizer.to_bytes(), b.cleaner, b.language)
            for a, b in ((first.source, second.source), (first.target, second.target))
        )
        and first.max_length == second.max_length
    )


def test_what_is_saved_is_loaded(folder: Path) -> None:
    loaded = Bundle.load(folder)
    assert same(loaded, small())
    assert loaded.metadata["note"] == "made by hand"
    assert loaded.num_parameters == small().build().num_parameters()
    loaded.save(folder)
    assert same(Bundle.load(folder), loaded)
    assert [path.name for path in folder.parent.iterdir()] == ["model"]


def test_ready_to_translate_and_ready_to_train(tiny_run: Path) -> None:
    bundle = Bundle.load(tiny_run)
    model, fresh = bundle.ready(), bundle.build()
    assert not model.training
    assert fresh.training
    assert all(torch.equal(tensor, bundle.weights[name]) for name, tensor in fresh.unique_state_dict().items())
    packs = linear.pack(torch.ones(2, 3)) is not None
    packed = [module.packed for module in model.modules() if isinstance(module, linear.Linear)]
    assert len(packed) > 1
    assert all((part is not None) == packs for part in (model.decoder.packed_output, *packed))


def test_opening_and_building_draw_no_random_numbers_of_the_caller(folder: Path) -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    Bundle.load(folder).build()
    assert torch.equal(torch.get_rng_state(), before)


def test_a_trained_model_says_how_it_came_about_and_nothing_of_the_run(tiny_run: Path) -> None:
    manifest = json.loads((tiny_run / "model" / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["format"] == FORMAT
    assert manifest["metadata"]["progress"]["best_step"] == 20
    assert manifest["metadata"]["parameters"] == Bundle.load(tiny_run).num_parameters
    expected = {"format", "architecture", "source", "target", "metadata", "files", "sha256"} | {
        "max_length",
        "longest_source",
        "placeholders",
    }
    assert manifest.keys() == expected
    assert manifest["target"].keys() == {"language", "cleaner", "vocab_size", "special"}
    assert manifest["source"].keys() == manifest["target"].keys() | {"words"}
    assert manifest["architecture"].keys() == {"model", "attention", "self_attention"}
    assert "small-world" not in json.dumps(manifest)
    assert str(tiny_run.parent) not in json.dumps(manifest)


# Stored models of every format.


@pytest.mark.slow
@pytest.mark.parametrize("path", STORED_MODELS, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_a_stored_model_translates_as_when_it_was_stored(path: Path) -> None:
    expected = json.loads((path.parent / "expected.json").read_text(encoding="utf-8"))[path.name]
    translator = Translator.load(path, device="cpu")
    bundle = translator.bundle
    assert (bundle.source.language, bundle.target.language) == (
        expected["source_language"],
        expected["target_language"],
    )
    assert bundle.num_parameters == expected["parameters"]
    assert bundle.max_length == expected["max_length"]
    assert bundle.metadata["progress"]["best_step"] == expected["best_step"]
    for case in expected["translations"]:
        (found,) = translator.translate([case["source"]], SearchConfig(case["beam"]))
        assert found.text == case["text"]
        assert found.score == pytest.approx(case["score"], abs=1e-4)


@pytest.mark.parametrize("path", STORED_MODELS, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_a_stored_model_is_the_same_after_saving(path: Path, tmp_path: Path) -> None:
    before = Bundle.load(path)
    before.save(tmp_path / "model")
    assert same(Bundle.load(tmp_path / "model"), before)
    assert json.loads((tmp_path / "model" / "manifest.json").read_text(encoding="utf-8"))["format"] == FORMAT


@pytest.mark.parametrize("path", STORED_MODELS, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_rows_rounded_to_8_bits(path: Path, tmp_path: Path) -> None:
    """Each number is off by at most half a step of its row, and the file is much smaller."""
    plain = Bundle.load(path)
    plain.save(tmp_path / "plain")
    plain.save(tmp_path / "rounded", int8=True)
    rounded = Bundle.load(tmp_path / "rounded")
    assert rounded.weights.keys() == plain.weights.keys()
    for name, tensor in plain.weights.items():
        if tensor.dim() < 2:
            assert torch.equal(rounded.weights[name], tensor)
            continue
        rows, found = tensor.flatten(1), rounded.weights[name].flatten(1)
        step = rows.abs().amax(dim=1, keepdim=True) / 127
        assert ((rows - found).abs() <= step / 2 + 1e-7).all()
    sizes = [(tmp_path / name / "model.safetensors").stat().st_size for name in ("plain", "rounded")]
    assert sizes[1] < 0.6 * sizes[0]  # names and shapes take the same room
    rounded.save(tmp_path / "again", int8=True)
    again = Bundle.load(tmp_path / "again")
    assert all(torch.allclose(again.weights[name], rounded.weights[name], atol=1e-6) for name in rounded.weights)


def test_every_format_is_stored_and_has_its_migration() -> None:
    numbers = {int(path.parent.name.removeprefix("format-")) for path in STORED_MODELS}
    assert numbers == set(range(1, FORMAT + 1))
    assert MIGRATIONS.keys() == numbers - {FORMAT}
    families = {Bundle.load(path).architecture.model.family for path in STORED_MODELS}
    assert families == {"rnn", "cnn", "transformer"}


# Damage.


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: -(path.stat().st_size // 4)])


def alter(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 255
    path.write_bytes(content)


@pytest.mark.parametrize("name", ["model.safetensors", "source.tokenizer", "target.tokenizer"])
@pytest.mark.parametrize(
    ("damage", "words"), [(truncate, "is truncated"), (alter, "was altered"), (Path.unlink, "missing")]
)
def test_damaged_files_are_named(folder: Path, name: str, damage: Callable[[Path], None], words: str) -> None:
    damage(folder / name)
    error = refused(folder)
    assert name in error.message
    # Altered, a tokenizer may still be one, of another run as far as anybody can tell.
    assert words in error.message or (damage is alter and error.code == "E_MODEL_MISMATCH")


def test_an_altered_manifest_is_noticed(folder: Path) -> None:
    path = folder / "manifest.json"
    path.write_text(path.read_text(encoding="utf-8").replace('"max_length": 17', '"max_length": 71'), encoding="utf-8")
    error = refused(folder)
    assert "manifest.json was altered" in error.message
    assert error.code == "E_MODEL_CORRUPT"


def test_a_tokenizer_of_another_run_is_refused_also_at_the_same_size(folder: Path) -> None:
    path = folder / "target.tokenizer"
    held = json.loads(path.read_text(encoding="utf-8"))
    held["pieces"][-1], held["pieces"][-2] = held["pieces"][-2], held["pieces"][-1]
    path.write_text(json.dumps(held), encoding="utf-8")
    error = refused(folder)
    assert error.code == "E_MODEL_MISMATCH"
    size = f"{len(held['pieces']):,}"
    assert f"({size} tokens) does not belong to these weights (embedding {size})" in error.message


def put(*keys: str, value: object) -> Callable[[dict[str, Any]], None]:
    def change(held: dict[str, Any]) -> None:
        for key in keys[:-1]:
            held = held[key]
        held[keys[-1]] = value

    return change


@pytest.mark.parametrize(
    ("change", "words", "code"),
    [
        (put("architecture", "model", "hidden_size", value=16), "do not belong to this configuration", "E_MODEL"),
        (put("architecture", "model", "color", value="red"), "model.rnn.color", "E_MODEL_CORRUPT"),
        (put("architecture", "model", "family", value="rwkv"), "cannot be understood", "E_MODEL_CORRUPT"),
        (put("source", "cleaner", "color", value="red"), "color", "E_MODEL_CORRUPT"),
        (put("source", "special", "pad", value=7), "special tokens have other ids", "E_MODEL_MISMATCH"),
        (put("max_length", value=None), "cannot be understood", "E_MODEL_CORRUPT"),
        (put("format", value=FORMAT + 1), "written by a newer Attentio", "E_MODEL_SCHEMA"),
        (put("format", value="two"), "names no format", "E_MODEL_SCHEMA"),
        (put("format", value=0), "names no format", "E_MODEL_SCHEMA"),
        (put("format", value=1), "cannot be understood", "E_MODEL_CORRUPT"),
        (lambda held: held.pop("target"), "target", "E_MODEL_CORRUPT"),
        (lambda held: held.pop("architecture"), "architecture", "E_MODEL_CORRUPT"),
    ],
)
def test_a_manifest_that_makes_no_sense(
    folder: Path, change: Callable[[dict[str, Any]], object], words: str, code: str
) -> None:
    resealed(folder, change)
    error = refused(folder)
    assert words in error.message
    assert error.code == code


@pytest.mark.parametrize("text", ["", "[]", "{", '{"format": 2}', '{"format": 2, "files": {"../x": {}}}'])
def test_a_manifest_that_is_none(folder: Path, text: str) -> None:
    (folder / "manifest.json").write_text(text, encoding="utf-8")
    assert "manifest.json" in refused(folder).message


def test_a_kind_of_attention_of_ones_own_is_stored_by_name(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "kinds_of_this_test.py").write_text(
        "from attentio.attention import SCORES\n\n\nclass Mine(SCORES['dot']):\n    pass\n", encoding="utf-8"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("ATTENTIO_ALLOW_KINDS", "")
    bundle = Bundle.load(folder)
    settings = {"score": "kinds_of_this_test:Mine"}
    attention = AttentionConfig.model_validate(settings, context={"kinds_by_user": True})
    sizes = bundle.source.tokenizer.vocab_size, bundle.target.tokenizer.vocab_size
    model = build_model(bundle.architecture.model, attention, *sizes)
    architecture = Architecture(model=bundle.architecture.model, attention=attention)
    dataclasses.replace(bundle, architecture=architecture, weights=model.unique_state_dict()).save(folder)
    assert Bundle.load(folder).architecture == architecture
    monkeypatch.delitem(sys.modules, "kinds_of_this_test")
    monkeypatch.setenv("ATTENTIO_ALLOW_KINDS", "")  # the consent given above is withdrawn
    error = refused(folder)
    assert error.code == "E_MODEL_KIND"
    assert "'kinds_of_this_test:Mine' is code in the module" in error.message
    assert error.hint is not None
    assert "--allow-kinds" in error.hint
    resealed(folder, put("architecture", "attention", "score", value="dott"))
    assert "there is no kind 'dott'" in refused(folder).message


def test_folders_that_hold_no_model(folder: Path, tmp_path: Path) -> None:
    run = Run(tmp_path)
    assert "no such folder" in refused(tmp_path / "nowhere").message
    run.config.touch()
    assert "no such folder" in refused(run.config).message
    shutil.rmtree(folder)
    assert "has no model yet" in refused(tmp_path).message
    run.config.unlink()
    assert "is not a run folder" in refused(tmp_path).message


def test_a_model_folder_without_its_parts(folder: Path) -> None:
    (folder / "manifest.json").unlink()
    for place in (folder, folder.parent):
        assert "manifest.json: no such file" in refused(place).message
    shutil.rmtree(folder)
    folder.mkdir()
    assert "manifest.json" in refused(folder.parent).message


def test_a_model_whose_writer_was_killed_while_replacing_it_still_opens(folder: Path) -> None:
    folder.rename(folder.with_name(".model.old"))
    assert same(Bundle.load(folder.parent), small())
    folder.with_name(".model.partial").mkdir()
    assert same(Bundle.load(folder.parent), small())


def test_a_full_disk_keeps_the_model_before(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_tensors: Mapping[str, torch.Tensor], _path: Path) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("safetensors.torch.save_file", full)
        with pytest.raises(ResourceError, match="disk full"):
            small(seed=2).save(folder)
    assert same(Bundle.load(folder), small())
    assert [path.name for path in folder.parent.iterdir()] == ["model"]


def test_places() -> None:
    run = Run(Path("x"))
    names = [path.name for path in (run.config, run.data, run.checkpoints, run.model, run.log)]
    assert names == ["config.toml", "data", "checkpoints", "model", "log.jsonl"]
