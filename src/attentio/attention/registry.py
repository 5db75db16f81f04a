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
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Generic, TypeVar, cast

import torch

from attentio.attention import normalize, score, window
from attentio.attention.kind import Kind, KindError, Option
from attentio.attention.normalize import Normalizer
from attentio.attention.score import Score
from attentio.attention.window import Window

ALLOWED = "ATTENTIO_ALLOW_KINDS"
OLD_NAMES = {"local-p-renormalized": ("local-p", "renormalize=true")}
TRIAL_SIZE = 64  # of a query and a key, where options are tried

_IMPORT_PATH = re.compile(r"(?P<module>[A-Za-z_][\w.]*):(?P<name>[A-Za-z_]\w*)(?::(?P<options>.*))?")

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
        parts = [
            _written(value) if option == first else f"{option}={_written(value)}"
            for option, value in self.options.items()
        ]
        return f"{self.name}:{','.join(parts)}" if parts else self.name


class Axis(Mapping[str, type[K]], Generic[K]):
    """The kinds of one axis by name. `base` is the class that all of them extend.

    Kinds of the modules named in `later` are loaded when one is asked for that is not in `module`.
    """

    def __init__(self, name: str, base: type[K], module: ModuleType, later: Sequence[str] = ()) -> None:
        self.name = name
        self.base = base
        self._kinds: dict[str, type[K]] = {}
        self._later = later
        self._add(module)

    def __getitem__(self, name: str) -> type[K]:
        return self._kinds[name] if name in self._kinds else self._all()[name]

    def __contains__(self, name: object) -> bool:
        return name in self._kinds or name in self._all()

    def __iter__(self) -> Iterator[str]:
        return iter(self._all())

    def __len__(self) -> int:
        return len(self._all())

    def _all(self) -> dict[str, type[K]]:
        for module in self._later:
            self._add(importlib.import_module(module))
        self._later = ()  # only now: another thread that comes here meanwhile loads the same
        return self._kinds

    def _add(self, module: ModuleType) -> None:
        for member in vars(module).values():  # in the order of definition
            if inspect.isclass(member) and issubclass(member, self.base) and "about" in vars(member) and member.about:
                self._kinds[member.about.name] = member

    def choose(self, setting: object, *, trusted: bool = False) -> Choice[K]:
        """Return the kind that a setting names: a text, or a table with `kind` and options.

        trusted: the user names it here and now, so its module may be imported. Raises KindError, which says what is
        possible, for an unknown kind and for an option that its class does not allow.
        """
        if isinstance(setting, str):
            name, given = self._split(setting)
        elif isinstance(setting, dict) and isinstance(setting.get("kind"), str):
            table = cast("dict[str, object]", setting)
            name, given = self._split(str(table["kind"]))
            given += [(key, value) for key, value in table.items() if key != "kind"]
        else:
            first = next(iter(self))
            raise KindError(f'write the kind as "{first}" or as {{kind = "{first}"}}, not as {setting!r}')
        kind = self[name] if name in self else self._imported(name, trusted=trusted)
        choice = Choice(name, kind, _read_options(name, kind.options(), given))
        if choice.options:
            self._try(choice)
        return choice

    def _split(self, text: str) -> tuple[str, list[tuple[str, object]]]:
        """Return the name or import path of a kind, and its options as (name or nothing, value)."""
        text = re.sub(r"\s*([:,=])\s*", r"\1", text.strip())
        name, _, options = text.partition(":")
        if name in OLD_NAMES:
            name, options = OLD_NAMES[name][0], f"{options},{OLD_NAMES[name][1]}"
        elif name not in self and (path := _IMPORT_PATH.fullmatch(text)):
            name, options = f"{path['module']}:{path['name']}", path["options"] or ""
        pairs = [part.partition("=") for part in options.strip(",").split(",") if part]
        return name, [(key, value) if equals else ("", key) for key, equals, value in pairs]

    def _imported(self, path: str, *, trusted: bool) -> type[K]:
        found = _IMPORT_PATH.fullmatch(path)
        if found is None:
            if axis := next((axis.name for axis in AXES.values() if path in axis), None):
                raise KindError(f"{path!r} is a kind of `{axis}`, not of `{self.name}`. Known: {', '.join(self)}.")
            raise KindError(f"there is no kind {path!r}. {_suggestion(path, self)}")
        kind = getattr(_module(found["module"], path, trusted=trusted), found["name"], None)
        if not (inspect.isclass(kind) and issubclass(kind, self.base)) or inspect.isabstract(kind):
            raise KindError(f"{path!r} is not a class that extends attentio.attention.{self.base.__name__}")
        return kind

    def _try(self, choice: Choice[K]) -> None:
        """Let the class judge its options in its constructor, without drawing from the generator of random numbers."""
        sizes = {"score": (TRIAL_SIZE, TRIAL_SIZE, 1), "window": (TRIAL_SIZE, 1)}.get(self.name, ())
        with torch.random.fork_rng(devices=[]):
            try:
                choice(*sizes)
            except ValueError as error:
                raise KindError(f"{choice.name}: {error}") from None


SCORES: Axis[Score] = Axis("score", Score, score)
NORMALIZERS: Axis[Normalizer] = Axis(
    "normalize", Normalizer, normalize, [f"attentio.attention.{name}" for name in ("sparse", "hard", "monotonic")]
)
WINDOWS: Axis[Window] = Axis("window", Window, window)
AXES: Mapping[str, Axis[Any]] = {axis.name: axis for axis in (SCORES, NORMALIZERS, WINDOWS)}


def find(setting: str, *, trusted: bool = False) -> tuple[Axis[Any], Choice[Any]]:
    """Return the axis and the kind that a setting names on any axis. Raises KindError as `Axis.choose` does."""
    name = setting.partition(":")[0].strip()
    name = OLD_NAMES.get(name, (name,))[0]
    for axis in AXES.values():
        if name in axis:
            return axis, axis.choose(setting)
    path = _IMPORT_PATH.fullmatch(setting)
    if path is None:
        known = [name for axis in AXES.values() for name in axis]
        raise KindError(f"there is no kind {name!r}. {_suggestion(name, known)}")
    kind = getattr(_module(path["module"], setting, trusted=trusted), path["name"], None)
    for axis in AXES.values():
        if inspect.isclass(kind) and issubclass(kind, axis.base):
            return axis, axis.choose(setting)
    raise KindError(f"{setting!r} is not a class that extends Score, Normalizer or Window of attentio.attention")


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


def _read_options(kind: str, known: Mapping[str, Option], given: list[tuple[str, object]]) -> dict[str, Any]:
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


def _suggestion(name: str, known: Iterable[str]) -> str:
    known = list(known)
    close = difflib.get_close_matches(name.partition(":")[0], known, n=1)
    return f"Did you mean {close[0]!r}?" if close else f"Known: {', '.join(known)}."
