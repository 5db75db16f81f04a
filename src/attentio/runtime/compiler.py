"""Leave out what only torch's compiler needs, which is a third of the time that importing torch takes.

`torch._meta_registrations` tells the compiler which shape each operator gives. Torch imports it at once. After
`put_off` it is imported where `torch._dynamo` is, which every way into the compiler imports first.
"""

import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.abc import MetaPathFinder
from types import ModuleType

_SHAPES, _COMPILER = "torch._meta_registrations", "torch._dynamo"


class _BeforeCompiler(MetaPathFinder):
    """Finds nothing. It is asked about every import, and so learns that the compiler is wanted."""

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> None:
        if name == _COMPILER:
            sys.meta_path.remove(self)
            if isinstance(sys.modules.get(_SHAPES), _Placeholder):
                del sys.modules[_SHAPES]
                setattr(sys.modules["torch"], _SHAPES.rpartition(".")[2], import_module(_SHAPES))


class _Placeholder(ModuleType):
    """Stands where the module would, until something of it is asked for."""


def put_off() -> None:
    """Import torch without its compiler's tables from now on. Nothing happens where torch is imported already."""
    if "torch" not in sys.modules and _SHAPES not in sys.modules:
        sys.modules[_SHAPES] = _Placeholder(_SHAPES)
        sys.meta_path.insert(0, _BeforeCompiler())
