"""The command line: one file per verb. Nothing here but parsing, printing and exit codes.

Modules of this package import torch, and what needs it, inside functions only, so that `--help` answers at once.
"""

import atexit
import gc
import json
import os
import sys
import tempfile
import threading
import traceback
from pathlib import Path
from typing import Annotated

import typer

from attentio.cli import attention, config, data
from attentio.cli.align import align
from attentio.cli.compare import compare
from attentio.cli.demo import demo
from attentio.cli.doctor import doctor
from attentio.cli.evaluate import evaluate
from attentio.cli.export import export
from attentio.cli.import_ import import_
from attentio.cli.plan import plan
from attentio.cli.serve import serve
from attentio.cli.train import train
from attentio.cli.translate import translate
from attentio.cli.view import view
from attentio.errors import STATUS_FILE, AttentioError, LostProcess, MissingExtra, ResourceError
from attentio.runtime.files import FULL_DISK
from attentio.runtime.memory import collect_garbage_rarely, keep_freed_memory, keep_prepared_products

keep_prepared_products()

app = typer.Typer(
    name="attentio",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Train, examine and use neural machine translators whose attention you choose, measure and see.",
)
for verb in (train, plan, translate, evaluate, compare, view, serve, export, align, demo, doctor):
    app.command()(verb)
app.command("import")(import_)
app.add_typer(data.app, name="data")
app.add_typer(attention.app, name="attention")
app.add_typer(config.app, name="config")


def _print_version(value: bool) -> None:
    if value:
        from attentio import __version__

        typer.echo(f"attentio {__version__}")
        raise typer.Exit


@app.callback()
def before_the_verb(
    version: Annotated[  # noqa: ARG001  (its callback acts)
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
    allow_kinds: Annotated[
        str | None,
        typer.Option(
            metavar="MODULE,...",
            envvar="ATTENTIO_ALLOW_KINDS",
            help="Modules with kinds of attention of your own that a model may import.",
        ),
    ] = None,
) -> None:
    """Read the options before the verb."""
    if allow_kinds:
        os.environ["ATTENTIO_ALLOW_KINDS"] = allow_kinds


def main() -> None:
    """Run the command line. Every error that a user can mend is one line, with an exit status of its own."""
    collect_garbage_rarely()
    keep_freed_memory()
    status = _run()
    if (path := os.environ.get(STATUS_FILE)) and status not in (1, LostProcess.exit_status):
        status = _tell_starter(path, status)
    if os.environ.get("WORLD_SIZE", "1") != "1":  # one of several: gloo may wait for a lost one when it is taken down
        sys.stdout.flush()
        os._exit(int(status or 0))
    gc.freeze()  # Python would look for garbage once more at its end
    sys.exit(status)


def command() -> None:
    """Run the command line as a program of its own, which ends at once. Taking torch apart would take 0.1 s."""
    try:
        main()
    except SystemExit as end:
        waits = any(not thread.daemon for thread in threading.enumerate() if thread is not threading.main_thread())
        if waits or isinstance(end.code, str):
            raise
        atexit._run_exitfuncs()  # pyright: ignore[reportPrivateUsage]
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(end.code or 0)


def _run() -> int | str | None:
    try:
        try:
            app()
        except SystemExit as end:  # typer ends so, and makes status 1 of a reader that has gone
            if isinstance(end.__context__, BrokenPipeError):
                raise end.__context__ from None
            sys.stdout.flush()
            return end.code
    except AttentioError as error:
        if isinstance(error, LostProcess) and STATUS_FILE in os.environ:
            return error.exit_status  # `distributed.launch` says it, or starts again
        if "--json" in sys.argv:
            sys.stdout.write(json.dumps({"schema": 1, "error": error.as_dict()}, ensure_ascii=False) + "\n")
        return _fail(str(error), error.exit_status)
    except BrokenPipeError:  # as with `| head`
        _abandon_stdout()
        return 0
    except OSError as error:
        if error.errno not in FULL_DISK:
            return _report(error)
        _abandon_stdout()
        place = "" if error.filename is None else f" while writing {error.filename}"
        return _fail(f"disk full{place}. Free some space and try again.", ResourceError.exit_status)
    except ModuleNotFoundError as error:
        if error.name != "torch":
            return _report(error)
        hint = "Install it: pip install torch. Exported models are translated, viewed and served without."
        return _fail(f"this needs torch, which is not installed. {hint}", MissingExtra.exit_status)
    except Exception as error:  # the last line of defence: no traceback reaches a terminal
        return _report(error)
    return None


def _tell_starter(path: str, status: int | str | None) -> int:
    """Write a status that this process has said why where `distributed.launch` reads it. Return 0."""
    if status:
        Path(path).write_text(str(status), encoding="utf-8")
    return 0


def _fail(message: str, status: int) -> int:
    sys.stderr.write(f"error: {' '.join(message.split())}\n")
    return status


def _report(error: Exception) -> int:
    with tempfile.NamedTemporaryFile("w", prefix="attentio-", suffix=".log", delete=False, encoding="utf-8") as log:
        traceback.print_exception(error, file=log)
    return _fail(f"internal: {type(error).__name__}: {error}. Please report it with {log.name}", 1)


def _abandon_stdout() -> None:
    """Discard what is still to be written, also what Python flushes when it ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
