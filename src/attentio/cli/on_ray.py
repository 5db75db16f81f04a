"""Bulk translation on a Ray cluster, by Ray Data: one reader, actors with a model each, and parts as they are done.

This process and the reader share a machine, so that only that one needs the files. The reader waits where the actors
are behind. The model goes to the actors through Ray. A part that was lost with its actor or machine is made again.
"""

import logging
import os
import pickle
import shutil
import tempfile
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from attentio.cli.bulk import Done, Job, Source, compared, numbered
from attentio.errors import AttentioError, LostProcess, MissingExtra, UsageError

if TYPE_CHECKING:
    from attentio.cli.notes import Notes
    from attentio.runtime.parts import Parts

AHEAD_BYTES = 256 << 20  # of chunks that were read and not translated yet, and of parts that are not written yet


# No figures about its use go to the makers of Ray, and what its core writes goes to its own files.
_SETTINGS = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_worker_niceness": "0",  # 15 otherwise: beside other work, an actor would wait for minutes
    "RAY_BACKEND_LOG_LEVEL": "fatal",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_DATA_AUTOSCALING_COORDINATOR_MAX_CONSECUTIVE_FAILURES": "100",  # a busy machine starts it slowly
}


def check_installed() -> None:
    """Raise MissingExtra where Ray Data is not installed."""
    for name, value in _SETTINGS.items():  # read when Ray is imported
        os.environ.setdefault(name, value)
    try:
        import_module("ray.data")
    except ImportError as error:
        raise MissingExtra(f"--engine ray needs a package ({error}).", hint="pip install 'attentio[ray]'") from None


def translated(job: Job, source: Source, notes: "Notes", parts: "Parts") -> Iterator[Done]:
    """Yield all parts: those that are there, then the others as actors on a Ray cluster make them.

    RAY_ADDRESS names the cluster. Without it there is one on this machine, which ends with the work.
    Raises the errors that translating in this process would raise, and LostProcess where Ray gives up.
    """
    wanted: list[int] = []
    for part, _, chunk in compared(job.work, source, notes, parts):
        if chunk is None:
            yield part
        else:
            wanted.append(part.number)
    if not wanted:
        return
    what = "it sent no answer"
    with _cluster(job.work.config.workers) as ray:
        while wanted:
            left = set(wanted)
            try:
                for answer in _answers(ray, job, source, wanted):
                    if answer.error is not None:
                        raise answer.error
                    notes.join(answer.notes)
                    left.discard(answer.done.number)
                    yield answer.done
            except AttentioError:
                raise
            except Exception as error:  # whatever Ray meets: what is there is kept, and the others are asked for again
                what = f"{type(error).__name__}: {' '.join(str(error).split())[-200:]}"
            if len(left) == len(wanted):
                lost = f"{len(left):,} of the parts, such as {parts.path(min(left)).name}"
                raise LostProcess(f"Ray did not make {lost} ({what}).", hint="The same command goes on.")
            wanted = sorted(left)


class _Answer(NamedTuple):
    """What an actor says of a chunk: the part and the notes on it, or the error."""

    done: Done
    notes: Any
    error: AttentioError | None = None


@contextmanager
def _cluster(processors: int) -> Generator[Any]:
    """Give Ray, joined to the cluster that RAY_ADDRESS names, or to one of its own with so many processors."""
    import ray  # pyright: ignore[reportMissingImports]

    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    try:
        with _without_stderr():
            if os.environ.get("RAY_ADDRESS"):
                ray.init(**quiet)
            else:
                ray.init(address="local", num_cpus=processors, include_dashboard=False, **quiet)
    except (ConnectionError, RuntimeError, ValueError) as error:
        what = " ".join(str(error).split())[:200]
        raise UsageError(f"no Ray cluster could be joined: {what}", hint="See RAY_ADDRESS.") from None
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    try:
        yield ray
    finally:
        ray.shutdown()


@contextmanager
def _without_stderr() -> Generator[None]:
    """Drop what is written to standard error, also by C++: Ray tells of its settings there."""
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def _answers(ray: Any, job: Job, source: Source, wanted: list[int]) -> Iterator[_Answer]:
    """Yield the answers to the wanted chunks, in the order in which they are ready."""
    from ray.data import ActorPoolStrategy, DataContext, read_datasource  # pyright: ignore[reportMissingImports]
    from ray.util.scheduling_strategies import (  # pyright: ignore[reportMissingImports]
        NodeAffinitySchedulingStrategy,
    )

    has = ray.cluster_resources()
    on_gpu = job.device == "cuda" or (job.device == "auto" and has.get("GPU", 0) >= 1)
    if on_gpu and has.get("GPU", 0) < 1:
        raise UsageError("the Ray cluster has no GPU.", hint="Leave --device out.")
    count = min(len(wanted), int(has["GPU" if on_gpu else "CPU"]))
    context = DataContext.get_current()
    context.enable_progress_bars = False
    context.target_max_block_size = 1  # a chunk is a block: chunks are not gathered into larger ones
    context.execution_options.resource_limits = context.execution_options.resource_limits.copy(
        object_store_memory=AHEAD_BYTES
    )
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    model = ray.put(_files_of(job.run))
    rows = read_datasource(
        _reader(source, wanted), override_num_blocks=1, ray_remote_args={"num_cpus": 0, "scheduling_strategy": here}
    ).map_batches(
        TranslatingActor,
        fn_constructor_args=(model, job._replace(device="cuda" if on_gpu else "cpu"), source),
        batch_size=1,
        compute=ActorPoolStrategy(size=max(1, count)),
        num_cpus=1,
        num_gpus=1 if on_gpu else None,
    )
    for batch in rows.iter_batches(batch_size=None, prefetch_batches=0):
        for answer in batch["answer"]:
            yield pickle.loads(answer)


def _files_of(run: Path) -> dict[str, bytes]:
    """Return the files of a model by their names."""
    from attentio.bundle import model_folder
    from attentio.exported import is_exported

    folder = run if is_exported(run) else model_folder(run)
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def _reader(source: Source, wanted: list[int]) -> Any:
    """Return the wanted chunks as a source of Ray Data, read by one process."""
    import pyarrow  # pyright: ignore[reportMissingTypeStubs]
    from ray.data import Datasource  # pyright: ignore[reportMissingImports]
    from ray.data.block import BlockMetadata  # pyright: ignore[reportMissingImports]
    from ray.data.datasource import ReadTask  # pyright: ignore[reportMissingImports]

    def read() -> Iterator[Any]:
        left = set(wanted)
        for number, first, chunk in numbered(source):
            if number in left:
                yield pyarrow.table({"number": [number], "first": [first], "chunk": [pickle.dumps(chunk)]})

    class Reader(Datasource):  # pyright: ignore[reportUntypedBaseClass]
        def get_read_tasks(self, *_: Any, **__: Any) -> list[Any]:
            about = BlockMetadata(num_rows=len(wanted), size_bytes=None, input_files=None, exec_stats=None)
            return [ReadTask(read, about)]

        def estimate_inmemory_data_size(self) -> None:
            return None

    return Reader()


class TranslatingActor:
    """A process of the cluster that has opened the model once, and translates chunk after chunk."""

    def __init__(self, model: Any, job: Job, source: Source) -> None:
        import ray  # pyright: ignore[reportMissingImports]

        from attentio.runtime import compiler
        from attentio.translator import Translator

        compiler.put_off()
        folder = Path(tempfile.mkdtemp(prefix="attentio-"))
        try:
            for name, content in ray.get(model).items():
                (folder / name).write_bytes(content)
            self._translator = Translator.load(folder, device=job.device, precision=job.precision)
            _ = self._translator.model  # opened while its files are there
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        self._work = job.work.alone()
        self._source = source

    def __call__(self, batch: dict[str, Any]) -> dict[str, list[bytes]]:
        """Translate chunks: `number`, `first` and `chunk` of each give an `answer`, pickled."""
        rows = zip(batch["number"], batch["first"], batch["chunk"], strict=True)
        answers = [self._answer(int(number), int(first), pickle.loads(chunk)) for number, first, chunk in rows]
        return {"answer": [pickle.dumps(answer) for answer in answers]}

    def _answer(self, number: int, first: int, chunk: Any) -> _Answer:
        from attentio.cli.notes import Notes

        notes, made_from = Notes(self._translator), self._source.digest(chunk)
        try:
            content = self._source.content(self._work, self._translator, notes, chunk, first)
        except AttentioError as error:
            return _Answer(Done(number, made_from, len(chunk)), notes, error)
        return _Answer(Done(number, made_from, len(chunk), content), notes)
