"""The names of all kinds, one registry for each axis, and how a setting names a kind with its options.

    local-p                            the kind with its defaults
    local-p:3                          its first option
    local-p:radius=3,renormalize=true  options by name
    {kind = "local-p", radius = 3}     the same as a TOML table
    mymodule:MyScore:2                 a class of your own, by its import path

Every form has one canonical text (`str` of a `Choice`), so that equal kinds compare equal. A module of your own is
imported only with consent: it is loaded already, or `allow_kinds` or ATTENTIO_ALLOW_KINDS names it.
"""

import difflib
import importlib
import inspect
import os
import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Generic, TypeVar, cast

import torch

from attentio.attention import hard, monotonic, normalize, score, sparse, window
from attentio.attention.kind import Kind, KindError, Option
from attentio.attention.normalize import Normalizer
from attentio.attention.score import Score
from attentio.attention.window import Window

ALLOWED = "ATTENTIO_ALLOW_KINDS"
OLD_NAMES = {"local-p-renormalized": ("local-p", "renormalize=true")}
TRIAL_SIZES = {Score: (64, 64, 1), Window: (64, 1), Normalizer: ()}  # where options are tried

_IMPORT_PATH = re.compile(r"(?P<path>(?P<module>[A-Za-z_][\w.]*):(?P<name>[A-Za-z_]\w*))(?::(?P<options>.*))?")

K = TypeVar("K", bound=Kind)


class NotAllowedError(KindError):
    """Report a kind whose module may not be imported without consent."""

    def __init__(self, module: str, path: str) -> None:
        super().__init__(f"{path!r} is code in the module {module!r}, which may be imported only with your consent.")
        self.module = module
        self.hint = f"If you trust it: attentio --allow-kinds {module} ..., or set {ALLOWED}={module}."


@dataclass(frozen=True)
class Choice(Generic[K]):
    """A kind and the options that differ from its defaults. `name` is a registered name or an import path."""

    name: str
    kind: type[K]
    options: Mapping[str, Any]

    def __call__(self, *sizes: int) -> K:
        """Return a new module of this kind: (query_size, key_size, num_heads) for a score, and so on."""
        return self.kind(*sizes, **self.options)

    def __str__(self) -> str:
        first = next(iter(self.kind.options()), None)
        parts = [f"{'' if name == first else f'{name}='}{_written(value)}" for name, value in self.options.items()]
        return f"{self.name}:{','.join(parts)}" if parts else self.name


class Axis(dict[str, type[K]], Generic[K]):
    """The kinds in these modules by name. All extend `bases`: the class of one axis, or the classes of all."""

    def __init__(self, name: str, bases: type[K] | tuple[type[K], ...], *modules: ModuleType) -> None:
        self.name = name
        self.bases = bases if isinstance(bases, tuple) else (bases,)
        for member in (member for module in modules for member in vars(module).values()):  # in the order of definition
            if inspect.isclass(member) and issubclass(member, self.bases) and "about" in vars(member) and member.about:
                self[member.about.name] = member

    def choose(self, setting: object, *, trusted: bool = False) -> Choice[K]:
        """Return the kind that a setting names: a text, or a table with `kind` and options.

        trusted: the user names it here and now, so its module may be imported. Raises KindError, which says what is
        possible, for an unknown kind and for an option that its class does not allow.
        """
        table = cast("dict[str, object]", setting) if isinstance(setting, dict) else {"kind": setting}
        if not isinstance(table.get("kind"), str):
            first = next(iter(self))
            raise KindError(f'write the kind as "{first}" or as {{kind = "{first}"}}, not as {setting!r}')
        text = re.sub(r"\s*([:,=])\s*", r"\1", str(table["kind"]).strip())
        name, _, options = text.partition(":")
        if name in OLD_NAMES:
            name, options = OLD_NAMES[name][0], f"{options},{OLD_NAMES[name][1]}"
        elif name not in self and (path := _IMPORT_PATH.fullmatch(text)):
            name, options = path["path"], path["options"] or ""
        pairs = [part.partition("=") for part in options.strip(",").split(",") if part]
        given: list[tuple[str, object]] = [(key, value) if equals else ("", key) for key, equals, value in pairs]
        given += [(key, value) for key, value in table.items() if key != "kind"]
        kind = self[name] if name in self else self._imported(name, trusted=trusted)
        choice = Choice(name, kind, _read_options(name, kind.options(), given))
        if choice.options:  # let the class judge them in its constructor
            sizes = next(sizes for base, sizes in TRIAL_SIZES.items() if issubclass(kind, base))
            with torch.random.fork_rng(devices=[]):
                try:
                    choice(*sizes)
                except ValueError as error:
                    raise KindError(f"{name}: {error}") from None
        return choice

    def _imported(self, path: str, *, trusted: bool) -> type[K]:
        found = _IMPORT_PATH.fullmatch(path)
        if found is None:
            if axis := next((axis.name for axis in AXES.values() if path in axis), None):
                raise KindError(f"{path!r} is a kind of `{axis}`, not of `{self.name}`. Known: {', '.join(self)}.")
            close = difflib.get_close_matches(path.partition(":")[0], self, n=1)
            hint = f"Did you mean {close[0]!r}?" if close else f"Known: {', '.join(self)}."
            raise KindError(f"there is no kind {path!r}. {hint}")
        kind = getattr(_module(found["module"], path, trusted=trusted), found["name"], None)
        if not (inspect.isclass(kind) and issubclass(kind, self.bases)) or inspect.isabstract(kind):
            bases = " or ".join(base.__name__ for base in self.bases)
            raise KindError(f"{path!r} is not a class that extends attentio.attention.{bases}")
        return kind


SCORES: Axis[Score] = Axis("score", Score, score)
NORMALIZERS: Axis[Normalizer] = Axis("normalize", Normalizer, normalize, sparse, hard, monotonic)
WINDOWS: Axis[Window] = Axis("window", Window, window)
AXES: Mapping[str, Axis[Any]] = {axis.name: axis for axis in (SCORES, NORMALIZERS, WINDOWS)}


def find(setting: str, *, trusted: bool = False) -> tuple[Axis[Any], Choice[Any]]:
    """Return the axis and the kind that a setting names on any axis. Raises KindError as `Axis.choose` does."""
    modules = score, normalize, sparse, hard, monotonic, window
    choice = Axis("any axis", (Score, Normalizer, Window), *modules).choose(setting, trusted=trusted)
    return next(axis for axis in AXES.values() if issubclass(choice.kind, axis.bases)), choice


def allow_kinds(*modules: str) -> None:
    """Consent that these modules are imported for kinds, by this process and by those that it starts."""
    os.environ[ALLOWED] = ",".join(dict.fromkeys([*_allowed(), *modules]))


def _allowed() -> list[str]:
    return [module.strip() for module in os.environ.get(ALLOWED, "").split(",") if module.strip()]


def _module(name: str, path: str, *, trusted: bool) -> ModuleType:
    if name in sys.modules:
        return sys.modules[name]
    if trusted:
        allow_kinds(name)
    elif name not in _allowed():
        raise NotAllowedError(name, path)
    here = str(Path.cwd())
    if here not in sys.path and "" not in sys.path:
        sys.path.append(here)  # a script finds modules beside itself only
    try:
        return importlib.import_module(name)
    except Exception as error:
        if isinstance(error, ModuleNotFoundError) and error.name == name:
            refused = KindError(f"cannot import {path!r}: there is no module {name!r}.")
            refused.hint = f"Put {name}.py into the current folder, or install the package."
        else:
            refused = KindError(f"cannot import {path!r}: {type(error).__name__}: {error}.")
            refused.hint = f"Mend the module {name!r}."
        raise refused from error


def _read_options(kind: str, known: Mapping[str, Option], given: Iterable[tuple[str, object]]) -> dict[str, Any]:
    """Return the options that differ from their defaults, in the order of the constructor."""
    possible = f"Its options: {', '.join(known)}." if known else "It has no options."
    read: dict[str, Any] = {}
    for place, (name, value) in enumerate(given):
        if not name and place < len(known):
            name = list(known)[place]
        if name not in known:
            raise KindError(f"{kind} has no option {name or value!r}. {possible}")
        if name in read:
            raise KindError(f"{kind} is given its option {name} twice")
        try:
            read[name] = known[name].read(value)
        except KindError as error:
            raise KindError(f"{kind}: {error}") from None
    for name, option in known.items():
        if option.required and name not in read:
            raise KindError(f"{kind} needs its option {name}. {possible}")
    return {name: read[name] for name in known if name in read and read[name] != known[name].default}


def _written(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value).removesuffix(".0")
