"""What a kind of attention says of itself: the base class of scores, normalizers and windows.

A kind is a class. The arguments of its constructor, beyond the sizes, are its options: a type, a default and, in
`Annotated`, a meaning. Its attribute `about` holds its name, formula, paper, cost and trap. The registry, the command
line, the documentation and the choice of a training objective read all this from the class.
"""

import inspect
import math
from abc import ABC
from collections.abc import Mapping
from dataclasses import dataclass
from types import NoneType, UnionType
from typing import Annotated, Any, ClassVar, NamedTuple, TypeVar, Union, get_args, get_origin, get_type_hints

from torch import nn

Number = TypeVar("Number", int, float)

SIZES = ("query_size", "key_size", "num_heads")  # arguments that follow from the model
WORDS = {bool: "true or false", int: "an integer", float: "a number", str: "a text"}


class KindError(ValueError):
    """Report a kind that does not exist or an option that its class does not allow. `hint` says what to type."""

    hint: str | None = None


def at_least(least: float, **option: Number) -> Number:
    """Return the one option given, as in `at_least(1, width=width)`. Raises ValueError if it is less than `least`."""
    ((name, value),) = option.items()
    if value < least:
        raise ValueError(f"{name} {value} must be at least {least}")
    return value


class Group(NamedTuple):
    """One of the ways to group kinds, in English and Chinese."""

    english: str
    chinese: str


SIMILARITY = Group("by how a weight is computed", "按权值计算方式")
REGION = Group("by the region attended to", "按计算区域")
INFORMATION = Group("by the information used", "按所用信息")
HISTORY = Group("by what is remembered", "按所记历史")


@dataclass(frozen=True, kw_only=True)
class About:
    """Describe a kind. Costs are for B sentences, H heads, T queries, S keys and D units per head.

    Costs leave out the projections of queries and keys. `trap` names the usual mistake.
    """

    name: str
    chinese: str
    group: Group
    formula: str
    paper: str
    use: str
    cost: str
    trap: str


@dataclass(frozen=True)
class Option:
    """One option of a kind, from the signature of its constructor. `default` is `Parameter.empty` if it is required."""

    name: str
    type: type
    default: Any
    meaning: str

    @property
    def required(self) -> bool:
        """Whether the constructor has no default for it."""
        return self.default is inspect.Parameter.empty

    def as_dict(self) -> dict[str, Any]:
        """Return name, type, default (None if there is none) and meaning."""
        default = None if self.required else self.default
        return {"name": self.name, "type": self.type.__name__, "default": default, "meaning": self.meaning}

    def __str__(self) -> str:
        default = "" if self.required or self.default is None else f" = {str(self.default).lower()}"
        return f"{self.name}{default} ({self.type.__name__}){self.meaning and ': '}{self.meaning}"

    def read(self, value: object) -> Any:
        """Return a value, given as text or as a TOML value, in the option's type. Raises KindError."""
        read: object = value
        if isinstance(value, str) and self.type is not str:
            text = value.strip().lower()
            try:
                read = {"true": True, "false": False}.get(text) if self.type is bool else self.type(text)
            except ValueError:
                read = None
        elif self.type is float and type(value) is int:
            read = float(value)
        if type(read) is not self.type or (isinstance(read, float) and not math.isfinite(read)):
            raise KindError(f"{self.name} must be {WORDS[self.type]}, not {value!r}")
        if isinstance(read, str) and set(read) & set(",=:"):
            raise KindError(f"{self.name} = {read!r} must not contain a comma, an equals sign or a colon")
        return read


class Kind(nn.Module, ABC):
    """The base of `Score`, `Normalizer` and `Window`. `about` is None for a kind without a description."""

    about: ClassVar[About | None] = None

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if not cls.__doc__ and cls.about:  # what `about` says is not said again in a docstring
            cls.__doc__ = f"{cls.about.formula} ({cls.about.paper})\n\n{cls.about.use}\n{cls.about.trap}"

    @classmethod
    def options(cls) -> Mapping[str, Option]:
        """Return the options of this kind by name, in the order of its constructor."""
        hints = get_type_hints(cls.__init__, include_extras=True)
        found: dict[str, Option] = {}
        for name, parameter in list(inspect.signature(cls.__init__).parameters.items())[1:]:
            if name in SIZES or parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
                continue
            hint, notes = hints.get(name, type(parameter.default)), ()
            if get_origin(hint) is Annotated:
                hint, *notes = get_args(hint)
            parts = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
            given = [part for part in parts if part is not NoneType]
            if len(given) == 1 and given[0] in WORDS:  # nothing else can be written in a setting
                meaning = next((note for note in notes if isinstance(note, str)), "")
                found[name] = Option(name, given[0], parameter.default, meaning)
        return found
