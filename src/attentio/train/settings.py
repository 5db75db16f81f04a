"""One frozen, strict description of a run. Every setting is declared once, with its meaning, and saved as TOML.

Sections are `data` (declared beside the data pipeline), `model`, `attention`, `self_attention` (declared beside the
models) and `train`. Presets are TOML files in `src/attentio/presets`. The user's own file and `-o section.key=value`
are laid over them. Only `cli` and the loaders of a run read TOML. Everything else is handed its section.
"""

import difflib
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal, cast, get_args

import tomli_w
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from attentio.data.settings import DataConfig
from attentio.errors import AttentioError, DataError, UsageError
from attentio.model.settings import (
    AttentionConfig,
    CNNConfig,
    ModelConfig,
    SelfAttentionConfig,
)
from attentio.runtime.choices import Kernels
from attentio.runtime.precision import Precision
from attentio.train.plan import EPOCHS_WITH_TIME, PAIRS_COUNTED, fine_tuning, fit

Settings = Mapping[str, object]


class TrainConfig(BaseModel):
    """The optimization."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    epochs: Annotated[int, Field(ge=1, description="passes over the training pairs")] = 30
    max_steps: Annotated[int | None, Field(ge=1, description="stop after this many updates")] = None
    max_seconds: Annotated[
        float | None,
        Field(gt=0, description="stop after this long. The schedule is planned to end there (--max-time)"),
    ] = None
    batch_tokens: Annotated[int, Field(ge=1, description="source + target tokens in a batch, padding included")] = 2048
    batch_sentences: Annotated[
        int | None,
        Field(ge=1, description="at most this many pairs in a batch, whatever their tokens. Default: no bound"),
    ] = None
    learning_rate: Annotated[float, Field(gt=0, description="peak learning rate")] = 2e-3
    warmup_steps: Annotated[int, Field(ge=0, description="updates of linear warm-up")] = 400
    warmup_share: Annotated[
        float | None,
        Field(
            gt=0, lt=1, description="warm-up as a share of the planned updates, at most 400, instead of warmup_steps"
        ),
    ] = None
    schedule: Annotated[
        Literal["linear", "cosine", "inverse_sqrt", "constant"], Field(description="decay after the warm-up")
    ] = "cosine"
    weight_decay: Annotated[float, Field(ge=0, description="decoupled weight decay of AdamW")] = 0.01
    label_smoothing: Annotated[float, Field(ge=0, lt=1, description="mass spread over the whole vocabulary")] = 0.1
    subword_regularization: Annotated[
        float,
        Field(ge=0, le=1, description="share of subword tokens that an update reads as two smaller ones (Kudo 2018)"),
    ] = 0.0
    guided_alignment: Annotated[
        float,
        Field(ge=0, description="weight of a loss that draws attention to known word links: `data.links`, small world"),
    ] = 0.2
    consistency: Annotated[
        float,
        Field(
            ge=0,
            description="weight of a loss that draws two passes with dropout of their own together (Liang 2021: 2.5); "
            "each update computes every pair twice",
        ),
    ] = 0.0
    coverage_loss: Annotated[
        float, Field(ge=0, description="weight of a loss for attending again to what was attended to (See 2017)")
    ] = 0.0
    reinforce_samples: Annotated[
        int, Field(ge=2, description="normalize = 'hard_reinforce': paths drawn for each sentence")
    ] = 4
    entropy_bonus: Annotated[
        float, Field(ge=0, description="normalize = 'hard_reinforce': weight of a reward for keeping the choice open")
    ] = 0.02
    marginal_top_k: Annotated[
        int, Field(ge=0, description="normalize = 'hard_marginal': keys summed over, the best ones. 0: all")
    ] = 6
    accumulate: Annotated[
        int, Field(ge=1, description="batches whose gradients are added up for one update: larger batches, same memory")
    ] = 1
    clip_norm: Annotated[float, Field(gt=0, description="largest gradient norm")] = 1.0
    average_decay: Annotated[
        float, Field(ge=0, lt=1, description="decay of the running average of the weights. 0 keeps the last weights")
    ] = 0.998
    precision: Annotated[Precision, Field(description="arithmetic of matrix products. auto: bf16 where it is fast")] = (
        "auto"
    )
    kernels: Annotated[
        Kernels,
        Field(
            description="implementation of matrix products on a CPU. auto: what is fastest on this machine. standard: "
            "what is chosen where nothing was measured"
        ),
    ] = "auto"
    min_steps: Annotated[
        int, Field(ge=0, description="a time limit that leaves fewer updates than this is extended, up to fivefold")
    ] = 0
    evaluate_every: Annotated[
        int | None, Field(ge=1, description="updates between evaluations on dev. Default: about once an epoch")
    ] = None
    evaluate_pairs: Annotated[int, Field(ge=1, description="dev sentences translated at each evaluation")] = 300
    patience: Annotated[
        int, Field(ge=0, description="stop after this many evaluations on dev without better chrF or loss. 0: never")
    ] = 10
    save_every_seconds: Annotated[float, Field(gt=0, description="time between checkpoints")] = 30.0
    start_from: Annotated[
        str | None,
        Field(description="run or model folder whose weights, tokenizers and cleaners are taken over (--start-from)"),
    ] = None
    earlier_share: Annotated[
        float,
        Field(
            ge=0,
            le=0.95,
            description="share of training pairs that are those of the run that training starts from, "
            "so that it forgets little. 0: new pairs only",
        ),
    ] = 0.75
    fitted_pairs: Annotated[
        int | None,
        Field(ge=0, description="pairs that the preset auto has fitted the settings to. It sets this itself"),
    ] = None
    seed: Annotated[int, Field(ge=0, description="seed of the split, the initial weights, the order and dropout")] = 1
    device: Annotated[str, Field(description="cpu, cuda, cuda:1, mps or auto")] = "auto"


class RunConfig(BaseModel):
    """All settings of a run."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    data: DataConfig = DataConfig()
    model: Annotated[ModelConfig, Field(discriminator="family")] = CNNConfig()
    attention: AttentionConfig = AttentionConfig()
    self_attention: SelfAttentionConfig = SelfAttentionConfig()
    train: TrainConfig = TrainConfig()

    @model_validator(mode="before")
    @classmethod
    def _with_family(cls, settings: Any) -> Any:
        """Give settings of the model without a family to the default one, and read former names as today's."""
        if not isinstance(settings, dict):
            return settings
        current = with_current_names(cast(dict[str, Any], settings))
        if isinstance(model := current.get("model"), dict):
            current["model"] = {"family": DEFAULT_FAMILY} | model
        return current


FAMILIES: dict[str, type[BaseModel]] = {kind.model_fields["family"].default: kind for kind in get_args(ModelConfig)}
DEFAULT_FAMILY = "cnn"
AUTO = "auto"  # settings that fit the number of pairs (train/plan.py)
DEFAULT_PRESET = AUTO


def with_current_names(settings: Settings, note: Callable[[str], None] = lambda _: None) -> dict[str, Any]:
    """Return settings in which former names are today's. `note` is told of each."""
    current = dict(settings)
    for (section, former), name in RENAMED.items():
        held = current.get(section)
        if isinstance(held, Mapping) and former in held:
            note(f"{section}.{former} is called {section}.{name} now")
            values = cast(Settings, held)
            current[section] = {name if key == former else key: value for key, value in values.items()}
    return current


def sections() -> Iterator[tuple[str, str | None, type[BaseModel]]]:
    """Yield each section with its settings: `model` once for each family, whose name comes second."""
    for name, section in RunConfig():
        if name == "model":
            yield from ((name, family, kind) for family, kind in FAMILIES.items())
        else:
            yield name, None, type(section)


SIZES = ("tiny", "small", "base")
# Settings by their former names, which files and commands of earlier versions hold.
RENAMED = {("train", "split_pieces"): "subword_regularization"}


@cache
def presets() -> Mapping[str, Settings]:
    """Return the settings of every preset by name: files of the presets folder, and each size of the default family."""
    folder = files("attentio").joinpath("presets")
    held = {
        entry.name.removesuffix(".toml"): tomllib.loads(entry.read_text(encoding="utf-8"))
        for entry in sorted(folder.iterdir(), key=lambda entry: entry.name)
        if entry.name.endswith(".toml")
    }
    return held | {size: held[f"{DEFAULT_FAMILY}-{size}"] for size in SIZES}


def effective_config(
    *,
    preset: str = DEFAULT_PRESET,
    file: Path | None = None,
    overrides: Sequence[str] = (),
    settings: Settings | None = None,
    run: Path | None = None,
    note: Callable[[str], None] = lambda _: None,
) -> RunConfig:
    """Lay preset, TOML file, command-line settings and `section.key=value` overrides over the defaults, in that order.

    A size alone (tiny, small, base) is that of the family which the other layers name, else of the default family.
    run: a run folder. If it holds a run, the preset auto stands for the settings of that run.
    `note` is told of former names. Raises UsageError naming every unknown or ill-typed key, with a suggestion.
    """
    if preset != AUTO and preset not in presets():
        raise UsageError(f"unknown preset {preset!r}.", hint=_suggestion(preset, [AUTO, *presets()]))
    over: dict[str, object] = {}
    for layer in ({} if file is None else _read_toml(file), settings or {}, *map(_parse_override, overrides)):
        over = _merge(over, with_current_names(layer, note))
    start = cast(Settings, over.get("train", {})).get("start_from")
    family = _family(over)
    held = None if preset != AUTO or run is None else _held(run, family)
    if held is not None:
        return parse_config(_merge(held, over), where=str(run), kinds_by_user=True)
    if preset == AUTO:
        under = _fitted(over, start)
    else:
        under = presets()[f"{family}-{preset}" if preset in SIZES and family in FAMILIES else preset]
    if start is not None:
        under = _with_model(under, str(start), run)
    merged = _merge(_merge(under, {} if run is None else _unknown_to(run / "config.toml")), over)
    return parse_config(merged, where="settings" if file is None else str(file), kinds_by_user=True)


def _held(run: Path, family: object) -> Settings | None:
    """Return the settings of the run in a folder, if there is one, of this family where one is named."""
    if not (run / "config.toml").exists() or not any((run / part).exists() for part in ("checkpoints", "model")):
        return None
    held = _stored(run / "config.toml")
    return held if family is None or family == _family(held) else None


def _fitted(over: Settings, start: object) -> Settings:
    """Return the preset that fits the number of pairs: a size of the family, and settings of training.

    start: the model that training starts from, if it does. Then all that is trained on is new pairs and earlier ones.
    """
    given = cast(Settings, over.get("train", {}))
    family = _family(over) if _family(over) in FAMILIES else DEFAULT_FAMILY
    pairs = _count_pairs(over)
    if pairs is None and start is None:
        return presets()[f"{family}-small"]
    found = None if pairs is None else fit(pairs)
    under = presets()[f"{family}-{'small' if found is None else found.size}"]
    if found is not None:
        data = found.data if start is None else {}
        train = {**found.train, "fitted_pairs": pairs}
        model = dict(found.model)
        if family == "transformer":  # else no program of others could search with it
            model.pop("lexicon", None)
        under = _merge(under, {"data": data, "model": model, "train": train})
    train = dict(cast(Settings, under.get("train", {})))
    if start is not None:
        from attentio.data.start import Mixture, num_earlier

        for name in ("batch_tokens", "epochs", "average_decay", "warmup_share", "guided_alignment", "patience"):
            train.pop(name, None)
        share = given.get("earlier_share", TrainConfig().earlier_share)
        share = share if isinstance(share, float) else 0.0
        mixture = Mixture.of(pairs or 0, num_earlier(Path(str(start))), share, seed=0)
        train.update(fine_tuning(pairs or 0, mixture.copies))
    if "warmup_steps" in given:
        train.pop("warmup_share", None)
    if given.get("max_seconds") is not None:
        train["epochs"] = EPOCHS_WITH_TIME * cast(int, train.get("epochs", TrainConfig().epochs))
        train["patience"] = 0  # the time is used: where dev seems to stand still, rates are still to fall
    return {**under, "train": train}


def _count_pairs(over: Settings) -> int | None:
    """Return the number of training pairs, None where there are none, or they or the settings cannot be read."""
    try:
        data = DataConfig.model_validate(over.get("data", {}))
        if not data.train:
            return None
        from attentio.data.source import count_pairs  # reading is not loaded for what needs none

        return count_pairs(data, PAIRS_COUNTED)
    except (ValidationError, AttentioError):  # `parse_config` and `prepare` say what is wrong
        return None


def _with_model(preset: Settings, start: str, resumed: Path | None) -> Settings:
    """Return the preset with architecture and maximal length of the model to start from, or of the run begun so."""
    if resumed is not None and (resumed / "checkpoints").exists():
        held = load_config(resumed / "config.toml")
        if held.train.start_from == start:
            kept = {"max_length": held.data.max_length, "placeholders": held.data.placeholders}
            return _merge(preset, {"data": kept}) | {
                name: getattr(held, name).model_dump() for name in ("model", "attention", "self_attention")
            }
    from attentio.bundle import Bundle  # only here: to read settings, nothing else needs torch

    bundle = Bundle.load(start)
    length = _merge(preset, {"data": {"max_length": bundle.max_length, "placeholders": bundle.placeholders}})
    return length | bundle.architecture.model_dump()


def parse_config(settings: Settings, *, where: str, kinds_by_user: bool = False) -> RunConfig:
    """Validate nested settings. Raises UsageError with one clause per fault.

    kinds_by_user: the user names the kinds of attention here and now, so that modules of their own may be imported.
    """
    try:
        return RunConfig.model_validate(settings, context={"kinds_by_user": kinds_by_user})
    except ValidationError as error:
        faults = "; ".join(_describe(dict(fault)) for fault in error.errors())
        hints = (getattr(fault.get("ctx", {}).get("error"), "hint", None) for fault in error.errors())
        hint = next(filter(None, hints), None)
        raise UsageError(f"{where}: {faults}", hint=hint, code="E_CONFIG") from None


def dump_config(config: RunConfig) -> str:
    """Return the configuration as TOML, without unset optional keys. `load_config` reads it back unchanged."""
    return tomli_w.dumps(config.model_dump(exclude_none=True, mode="json"))


def load_config(path: Path) -> RunConfig:
    """Read a configuration written by `dump_config`."""
    return parse_config(_stored(path), where=str(path))


def _stored(path: Path) -> Settings:
    return _merge(_unknown_to(path), _read_toml(path))


def _unknown_to(path: Path) -> Settings:
    """Return what is true of the run with a configuration that an earlier version wrote, and does not stand in it."""
    data = _read_toml(path).get("data", {}) if path.is_file() else {"placeholders": None}
    return {} if "placeholders" in cast(Settings, data) else {"data": {"placeholders": False}}


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Return, in words, the settings that differ. Where families differ, only what both of them have."""
    return [
        f"{section}.{key} was {value!r}, now {now[section][key]!r}"
        for section, values in before.items()
        for key, value in values.items()
        if key in now[section] and value != now[section][key]
    ]


def nested(*layers: Settings) -> dict[str, dict[str, object]]:
    """Return settings by section, where some are given as `section.key`. Later layers win."""
    merged: dict[str, object] = {}
    for layer in layers:
        for name, value in layer.items():
            section, dot, key = name.partition(".")
            merged = _merge(merged, {section: {key: value}} if dot else {name: value})
    return cast(dict[str, dict[str, object]], merged)


def _family(settings: Settings) -> object:
    model = settings.get("model")
    return model.get("family") if isinstance(model, Mapping) else None


def _read_toml(path: Path) -> Settings:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError(f"{path}: no such file.", file=path) from None
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: not valid TOML: {error}.", file=path) from None


def _parse_override(text: str) -> Settings:
    path, separator, value = text.partition("=")
    section, dot, key = path.strip().partition(".")
    if not (separator and dot and section and key):
        raise UsageError(f"cannot read the override {text!r}.", hint="Write it as section.key=value.")
    try:
        parsed = tomllib.loads(f"value = {value.strip()}")["value"]
    except tomllib.TOMLDecodeError:
        parsed = value.strip()
    return {section: {key: parsed}}


def _merge(base: Settings, over: Settings) -> dict[str, object]:
    merged = dict(base)
    for key, value in over.items():
        under = merged.get(key)
        if isinstance(value, Mapping) and isinstance(under, Mapping):  # sections. A table in a section is one value
            merged[key] = {**cast(Settings, under), **cast(Settings, value)}
        else:
            merged[key] = value
    return merged


def _describe(fault: dict[str, object]) -> str:
    location = [str(part) for part in cast(tuple[object, ...], fault["loc"])]
    section: type[BaseModel] = RunConfig
    if len(location) > 1:
        section = FAMILIES[location.pop(1)] if location[0] == "model" else type(getattr(RunConfig(), location[0]))
    name = ".".join(location)
    if fault["type"] == "union_tag_invalid":
        given = cast(dict[str, object], fault["input"])["family"]
        return f"model.family: {given!r} is unknown. {_suggestion(str(given), list(FAMILIES))}"
    if fault["type"] == "extra_forbidden":
        others = [family for family, kind in FAMILIES.items() if location[-1] in kind.model_fields]
        if location[0] == "model" and others:
            own = section.model_fields["family"].default
            return f"{name} is a setting of model.family = {' or '.join(map(repr, others))}, and this is {own!r}."
        return f"unknown setting {name}. {_suggestion(location[-1], list(section.model_fields))}"
    if fault["type"] == "value_error":  # of ours, in our words
        return f"{name}: {str(fault['msg']).removeprefix('Value error, ')}"
    return f"{name}: {str(fault['msg']).lower()} (got {fault['input']!r})"


def _suggestion(word: str, known: list[str]) -> str:
    close = difflib.get_close_matches(word, known, n=1)
    return f"Did you mean {close[0]}?" if close else f"Known: {', '.join(known)}."


def read_duration(text: str) -> float:
    """Return "90s", "10m", "2h" or plain seconds as seconds. Raises UsageError for anything else."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smh]?)", text.strip())
    if match is None or float(match[1]) <= 0:
        raise UsageError(f"cannot read the time {text!r}.", hint="Write it as 90s, 10m or 2h.")
    return float(match[1]) * {"": 1, "s": 1, "m": 60, "h": 3600}[match[2]]
