"""Which implementation computes what: measured once on a machine, kept in the user's cache, recorded in a run.

`ALTERNATIVES` is the table: kinds of work, and what can do each of them. All alternatives compute the same up to
rounding. `choose` is a pure function from seconds to choices. What measures stands in `model/fast/probe.py`.
Nothing here imports torch before it is needed.
"""

import contextlib
import os
import platform
import sys
from collections.abc import Callable, Generator, Mapping
from pathlib import Path
from typing import Any, Literal, TypeAlias, cast, get_args

from attentio.errors import AttentioError, UsageError
from attentio.runtime.files import make_folder, read_json, write_json

Seconds: TypeAlias = Mapping[str, Mapping[str, float]]  # by kind of work and implementation
Choices: TypeAlias = Mapping[str, str]  # an implementation for each kind of work
Kernels: TypeAlias = Literal["auto", "standard", "torch", "onednn"]

OVERRIDE = "ATTENTIO_KERNELS"  # an environment variable with one of Kernels
FEW_ROWS = 192  # below so many rows, a product has few
FEW, MANY = "few rows", "many rows"
PRODUCTS = ("forward", "input gradient", "weight gradient", "sum and product")
TRAINING, DECODING = "training", "decoding"  # the arithmetic of each
LOSS, LSTM = "loss, fp32", "lstm, fp32"
PAIRS = (2**14, 2**16)  # numbers of pairs, T * S, for which kernels of attention are measured
MOST_PAIRS = 2**18  # from so many on, torch's kernel computes attention: it never holds the weights

# Kinds of work, and what can do them. The first one does where nothing was measured.
ALTERNATIVES: dict[str, tuple[str, ...]] = {
    **{f"{product}, {rows}": ("onednn", "torch") for product in PRODUCTS for rows in (FEW, MANY)},
    **{f"packed {precision}, {rows}": ("packed", "plain") for precision in ("fp32", "bf16") for rows in (FEW, MANY)},
    **{
        f"attention {precision}, {pairs:,} pairs": ("sdpa", "eager") if pairs >= few else ("eager", "sdpa")
        for precision, few in (("fp32", 2**14), ("bf16", MOST_PAIRS))
        for pairs in PAIRS
    },
    # In bf16 the forms of torch are faster alone, and slower in a training step, so they are no choice there.
    LOSS: ("blocks", "torch"),
    LSTM: ("written out", "torch"),
    TRAINING: ("fp32", "bf16"),
    DECODING: ("fp32", "bf16"),
}
MARGIN = 1.05  # another than the first must be so many times as fast
MARGIN_OF_BF16 = 1.2  # it also converts what it multiplies
_BY_CAPABILITY = (TRAINING, DECODING)  # where nothing was measured, features of the processor say (precision.py)
STANDARD: Choices = {kind: names[0] for kind, names in ALTERNATIVES.items() if kind not in _BY_CAPABILITY}

CHOSEN: dict[str, str] = dict(STANDARD)  # what is in force in this process
_INSTRUCTIONS = ("ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA", "MKL_ENABLE_INSTRUCTIONS")  # variables that change speeds


def choose(seconds: Seconds) -> dict[str, str]:
    """Return the fastest implementation of every kind of work. The first one stays where others gain too little.

    A kind that was not measured keeps its standard.
    """
    found = dict(STANDARD)
    for kind, names in ALTERNATIVES.items():
        measured = {name: took for name, took in seconds.get(kind, {}).items() if name in names}
        if len(measured) < 2 or names[0] not in measured:
            continue
        best = min(measured, key=lambda name, measured=measured: measured[name])
        margin = MARGIN_OF_BF16 if kind in _BY_CAPABILITY else MARGIN
        found[kind] = best if measured[best] * margin < measured[names[0]] else names[0]
    return found


def forced(name: str) -> Choices | None:
    """Return the choices that a name of `Kernels` stands for, or None for "auto". Raises UsageError for another."""
    if name not in get_args(Kernels):
        raise UsageError(f"unknown kernels {name!r}.", hint=f"One of: {', '.join(get_args(Kernels))}.")
    if name == "auto":
        return None
    products = {kind for kind in STANDARD if kind.startswith(PRODUCTS)}
    return {kind: name if kind in products and name != "standard" else one for kind, one in STANDARD.items()}


def override(setting: str = "auto") -> Choices | None:
    """Return the choices that the setting asks for, or else ATTENTIO_KERNELS. None where both leave it to measuring."""
    asked = (forced(name) for name in (setting, os.environ.get(OVERRIDE) or "auto"))
    return next((found for found in asked if found is not None), None)


def settle(setting: str = "auto", measure: Callable[[], tuple[Seconds, bool]] | None = None) -> Choices:
    """Return the choices for this process: asked for by `setting` or `ATTENTIO_KERNELS`, else measured.

    measure: returns seconds, and whether the machine was quiet enough to believe them. It is called where nothing is
    stored. Without it, and on a busy machine, the choices are standard, and a later process measures.
    """
    if (asked := override(setting)) is not None:
        return asked
    seconds = stored()
    if seconds is None and measure is not None:
        seconds, quiet = measure()
        if not quiet:
            return STANDARD
        _store(seconds)
    return STANDARD if seconds is None else choose(seconds)


@contextlib.contextmanager
def using(choices: Choices) -> Generator[None]:
    """Let these choices be in force during the block."""
    before = dict(CHOSEN)
    use(choices)
    try:
        yield
    finally:
        use(before)


def use(choices: Choices) -> None:
    """Let these choices be in force from now on. Unknown kinds and implementations are left out."""
    from attentio.attention.kernels import backend

    CHOSEN.clear()
    CHOSEN.update(STANDARD)
    CHOSEN.update({kind: name for kind, name in choices.items() if name in ALTERNATIVES.get(kind, ())})
    backend.set_few_pairs(_few_pairs("fp32"), _few_pairs("bf16"))


def _few_pairs(precision: str) -> int:
    """Return the number of pairs from which on torch's kernel of attention was chosen at every number measured."""
    few = MOST_PAIRS
    for pairs in reversed(PAIRS):
        if CHOSEN[f"attention {precision}, {pairs:,} pairs"] != "sdpa":
            break
        few = pairs
    return few


def stored() -> Seconds | None:
    """Return what was measured on this processor with this version of torch and as many threads, if anything was."""
    held: Any = None
    with contextlib.suppress(AttentioError, OSError, ValueError):
        held = read_json(_file())
    found = cast(dict[str, Any], held).get(machine()) if isinstance(held, dict) else None
    return cast(Seconds, found) if isinstance(found, dict) and _is_sound(cast(dict[str, Any], found)) else None


def _is_sound(found: dict[str, Any]) -> bool:
    kinds = [cast(dict[str, Any], kind) for kind in found.values() if isinstance(kind, dict)]
    return len(kinds) == len(found) and all(
        isinstance(took, float) and took > 0 for kind in kinds for took in kind.values()
    )


def _store(seconds: Seconds) -> None:
    """Keep what was measured. A cache that cannot be written to is no reason to stop."""
    with contextlib.suppress(AttentioError, OSError, ValueError):
        held: Any = read_json(_file())
        make_folder(_file().parent)
        write_json(_file(), {**(cast(dict[str, Any], held) if isinstance(held, dict) else {}), machine(): seconds})


def _file() -> Path:
    return cache_folder() / "kernels.json"


def cache_folder() -> Path:
    """Return the folder where this user's programs keep what they can make again."""
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", str(Path.home()))) / "attentio" / "cache"
    default = Path.home() / ("Library/Caches" if sys.platform == "darwin" else ".cache")
    return Path(os.environ.get("XDG_CACHE_HOME") or default) / "attentio"


def machine() -> str:
    """Return what speeds depend on, in one line: processor, instructions, version of torch, threads."""
    import torch

    limits = [f"{name}={os.environ[name]}" for name in _INSTRUCTIONS if name in os.environ]
    parts = [_processor(), torch.backends.cpu.get_cpu_capability(), *limits, f"torch {torch.__version__}"]
    return ", ".join([*parts, f"{torch.get_num_threads()} threads"])


def _processor() -> str:
    wanted = ("model name", "cpu family", "model", "stepping")
    found: dict[str, str] = {}
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            name, _, value = line.partition(":")
            if name.strip() in wanted:
                found.setdefault(name.strip(), value.strip())
    if not found:
        return platform.processor() or platform.machine()
    return " ".join([found.pop("model name", platform.machine()), *(f"{key} {value}" for key, value in found.items())])
