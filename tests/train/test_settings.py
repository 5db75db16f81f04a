"""Settings: layers laid over one another, mistakes named, files read back unchanged."""

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attentio.errors import DataError, UsageError
from attentio.train.settings import RunConfig, dump_config, effective_config, load_config, parse_config, presets


def test_later_layers_win_and_leave_their_neighbours(tmp_path: Path) -> None:
    file = tmp_path / "run.toml"
    file.write_text("[model]\nhidden_size = 300\ndropout = 0.2\n[train]\nseed = 5\n", encoding="utf-8")
    settings = {"model": {"dropout": 0.4}}
    config = effective_config(preset="tiny", file=file, settings=settings, overrides=["model.dropout=0.5"])
    assert config.model.embedding_size == 128  # the preset
    assert config.model.hidden_size == 300  # the file over the preset
    assert config.train.seed == 5
    assert config.model.dropout == 0.5  # the override over all
    assert config.train.epochs == RunConfig().train.epochs


def test_overrides_are_toml_values_or_bare_words() -> None:
    overrides = [
        "model.hidden_size=512",
        "attention.score=additive",
        'attention.normalize = "sparsemax"',
        "model.tie_embeddings=false",
        "train.learning_rate=1e-3",
        'data.train=["a.tsv", "b.tsv"]',
        "train.max_seconds=9",
    ]
    config = effective_config(overrides=overrides)
    assert config.model.hidden_size == 512
    assert (config.attention.score, config.attention.normalize) == ("additive", "sparsemax")
    assert config.model.tie_embeddings is False
    assert config.train.learning_rate == 1e-3
    assert config.data.train == ["a.tsv", "b.tsv"]
    assert config.train.max_seconds == 9


@pytest.mark.parametrize(
    ("override", "canonical"),
    [
        ("attention.window=local-p:3", "local-p:3"),
        ("attention.window=local-p:10", "local-p"),
        ("attention.window=local-p-renormalized", "local-p:renormalize=true"),
        ('attention.window={kind = "local-p", radius = 3}', "local-p:3"),
        ('attention.window={kind = "local-p", renormalize = true, radius = 3}', "local-p:3,renormalize=true"),
        ("self_attention.window=sliding:2", "sliding:2"),
        ("attention.normalize=entmax:1.7", "entmax:1.7"),
        ("attention.score=cosine:temperature=20", "cosine:20"),
    ],
)
def test_a_kind_is_set_with_its_options(override: str, canonical: str) -> None:
    config = effective_config(overrides=[override])
    section, key = override.partition("=")[0].split(".")
    assert getattr(getattr(config, section), key) == canonical
    assert parse_config(tomllib.loads(dump_config(config)), where="test") == config
    assert parse_config(config.model_dump(mode="json"), where="test") == config
    assert effective_config(overrides=[f"{section}.{key}={canonical}"]) == config


def test_a_table_of_a_kind_is_one_value(tmp_path: Path) -> None:
    file = tmp_path / "run.toml"
    file.write_text('[attention.window]\nkind = "local-p"\nradius = 3\nrenormalize = true\n', encoding="utf-8")
    assert effective_config(file=file).attention.window == "local-p:3,renormalize=true"
    for override in ("attention.window=local-m", 'attention.window={kind = "local-m"}'):
        assert effective_config(file=file, overrides=[override]).attention.window == "local-m"


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("model.hiden_size=3", "unknown setting model.hiden_size. Did you mean hidden_size?"),
        ("modle.hidden_size=3", "unknown setting modle. Did you mean model?"),
        ("model.hidden_size=big", "model.hidden_size: input should be a valid integer"),
        ("model.hidden_size=1.5", "model.hidden_size: input should be a valid integer"),
        ("model.hidden_size=true", "(got True)"),
        ("model.dropout=1.0", "model.dropout: input should be less than 1 (got 1.0)"),
        ("model.kernel_size=two", "model.kernel_size: input should be a valid integer"),
        ("model.cell=gru", "model.cell is a setting of model.family = 'rnn', and this is 'cnn'."),
        ("attention.score=cosin", "attention.score: there is no kind 'cosin'. Did you mean 'cosine'?"),
        (
            "attention.window=local-p:radios=3",
            "local-p has no option 'radios'. Its options: radius, renormalize.",
        ),
        ("attention.window=local-p:wide", "attention.window: local-p: radius must be an integer, not 'wide'"),
        ("attention.window=3", 'attention.window: write the kind as "full"'),
        ("self_attention.window={radius = 3}", 'self_attention.window: write the kind as "full"'),
        ("attention.normalize=entmax:1", "attention.normalize: entmax: alpha 1.0 must be above 1"),
        ("attention.score=no_such_module:My", "there is no module 'no_such_module'. Put no_such_module.py into"),
        ("train.epochs=0", "greater than or equal to 1 (got 0)"),
        ("data.dev=nan", "dev is a count, a share below 1, or a file"),
        ("data.dev=inf", "dev is a count, a share below 1, or a file"),
        ("data.test=-1", "test is a count, a share below 1, or a file"),
        ("hidden_size=3", "Write it as section.key=value."),
        ("model.hidden_size", "Write it as section.key=value."),
        ("=3", "Write it as section.key=value."),
    ],
)
def test_mistakes_are_named(override: str, words: str) -> None:
    with pytest.raises(UsageError) as caught:
        effective_config(overrides=[override])
    assert words in str(caught.value)
    assert caught.value.exit_status == 2


def test_every_mistake_is_named_at_once() -> None:
    with pytest.raises(UsageError) as caught:
        effective_config(overrides=["model.cell=x", "train.epochs=-1", "train.sed=3"])
    text = str(caught.value)
    assert "model.cell" in text
    assert "train.epochs" in text
    assert "train.sed. Did you mean seed?" in text


def test_an_unknown_preset_is_a_mistake() -> None:
    with pytest.raises(UsageError, match="Did you mean small"):
        effective_config(preset="smal")


@pytest.mark.parametrize("preset", presets())
def test_what_is_saved_is_read_back(preset: str, tmp_path: Path) -> None:
    config = effective_config(preset=preset, overrides=["data.delimiter='\\t'", "data.train=['猫 \"x\".tsv']"])
    path = tmp_path / "config.toml"
    path.write_text(dump_config(config), encoding="utf-8")
    assert load_config(path) == config


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "seed": st.integers(0, 2**62),
            "learning_rate": st.floats(1e-9, 1e9),
            "max_steps": st.none() | st.integers(1, 10**9),
            "max_seconds": st.none() | st.floats(1e-3, 1e9),
            "patience": st.integers(0, 10**6),
            "device": st.text(st.characters(codec="utf-8"), max_size=9),
        },
    )
)
def test_any_settings_are_read_back(train: dict[str, object]) -> None:
    import tomllib

    config = parse_config({"train": train}, where="here")
    assert parse_config(tomllib.loads(dump_config(config)), where="there") == config


def test_every_setting_may_be_left_out_of_a_file() -> None:
    """TOML has no null: a setting whose default is not None must never mean something as None."""
    for _, section in RunConfig():
        for name, field in type(section).model_fields.items():
            optional = type(None) in getattr(field.annotation, "__args__", ())
            assert not optional or field.default is None, f"{name} = None would be lost when saved"


def test_every_setting_says_what_it_means() -> None:
    for _, section in RunConfig():
        for name, field in type(section).model_fields.items():
            assert field.description, f"{name} has no description"


def test_a_file_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        effective_config(file=tmp_path / "nowhere.toml")
    broken = tmp_path / "broken.toml"
    for content in (b"[model\n", b"\xff\xfe"):
        broken.write_bytes(content)
        with pytest.raises(DataError, match="not valid TOML"):
            effective_config(file=broken)


def test_former_names_are_read_in_every_layer_and_noted(tmp_path: Path) -> None:
    file = tmp_path / "old.toml"
    file.write_text("[train]\nsplit_pieces = 0.3\n", encoding="utf-8")
    told: list[str] = []
    assert effective_config(file=file, note=told.append).train.subword_regularization == 0.3
    assert told == ["train.split_pieces is called train.subword_regularization now"]
    config = effective_config(file=file, overrides=["train.subword_regularization=0.0"])
    assert config.train.subword_regularization == 0.0
    assert effective_config(overrides=["train.split_pieces=0.2"]).train.subword_regularization == 0.2
    assert parse_config({"train": {"split_pieces": 0.4}}, where="old run").train.subword_regularization == 0.4


@pytest.mark.slow
@pytest.mark.parametrize("preset", ["auto", "tiny"])
def test_a_run_that_knew_no_placeholders_goes_on_without_them(tmp_path: Path, preset: str) -> None:
    settings = {"data": {"train": ["small-world"]}}
    config = effective_config(preset=preset, settings=settings)
    assert config.data.placeholders
    (tmp_path / "checkpoints").mkdir()
    held = dump_config(config)
    (tmp_path / "config.toml").write_text(held, encoding="utf-8")
    assert effective_config(preset=preset, settings=settings, run=tmp_path) == config
    (tmp_path / "config.toml").write_text(held.replace("placeholders = true\n", ""), encoding="utf-8")
    assert not effective_config(preset=preset, settings=settings, run=tmp_path).data.placeholders
    assert not load_config(tmp_path / "config.toml").data.placeholders
    forced = effective_config(preset=preset, settings=settings, overrides=["data.placeholders=true"], run=tmp_path)
    assert forced.data.placeholders
