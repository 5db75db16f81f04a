"""Leave out what only torch's compiler and its export need, which is a third of the time that importing torch takes.

Torch imports these modules at once, and reads nothing of them. After `put_off` a placeholder stands for each, which is
replaced by the module when something of it is asked for. Nobody asks for `torch._meta_registrations`, which registers
the shape that each operator gives. So it also comes with `torch._dynamo`, the first import of every way into the
compiler.
"""

import os
import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.abc import MetaPathFinder
from types import ModuleType

_SHAPES, _COMPILER = "torch._meta_registrations", "torch._dynamo"
_LATE = (_SHAPES, "torch.export")


class _BeforeCompiler(MetaPathFinder):
    """Finds nothing. It is asked about every import, and so learns that the compiler is wanted."""

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> None:
        if name == _COMPILER:
            sys.meta_path.remove(self)
            if isinstance(held := sys.modules.get(_SHAPES), _Placeholder):
                held.load()


class _Placeholder(ModuleType):
    """Stands where the module would, until something of it is asked for."""

    def __getattr__(self, name: str) -> object:
        if name == "__file__":  # `inspect` asks every module for its file, and takes none for an answer
            raise AttributeError(name)
        return getattr(self.load(), name)

    def load(self) -> ModuleType:
        """Import the module itself, and let it stand here."""
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
            parent, _, name = self.__name__.rpartition(".")
            setattr(sys.modules[parent], name, import_module(self.__name__))
        return import_module(self.__name__)  # in another thread, it waits until the module is there


def put_off() -> None:
    """Import torch without its compiler's tables from now on. Nothing happens where torch is imported already."""
    if "torch" not in sys.modules:
        sys.modules.update({name: _Placeholder(name) for name in _LATE if name not in sys.modules})
        sys.meta_path.insert(0, _BeforeCompiler())
        os.environ.setdefault("TORCH_DEVICE_BACKEND_AUTOLOAD", "0")  # devices of other packages, which we cannot use
