"""The command line: one file per verb. Nothing here but parsing, printing and exit codes.

Modules of this package import torch, and what needs it, inside functions only, so that `--help` answers at once.
"""

import json
import os
import sys
import tempfile
import traceback
from typing import Annotated

import typer

from attentio.cli import config, data
from attentio.cli.align import align
from attentio.cli.demo import demo
from attentio.cli.doctor import doctor
from attentio.cli.evaluate import evaluate
from attentio.cli.train import train
from attentio.cli.translate import translate
from attentio.cli.view import view
from attentio.errors import AttentioError

# Matrix products are prepared once per shape, and batches come in many shapes; the library's default keeps too few.
os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "16384")

app = typer.Typer(
    name="attentio",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Train, examine and use neural machine translators whose attention you choose, measure and see.",
)
for verb in (train, translate, evaluate, view, align, demo, doctor):
    app.command()(verb)
app.add_typer(data.app, name="data")

app.add_typer(config.app, name="config")


def _print_version(value: bool) -> None:
    if value:
        from attentio import __version__

        typer.echo(f"attentio {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Options before the verb."""


def main() -> None:
    """Runs the command line; every error a user can mend is one line and an exit status of its own."""
    try:
        app()
    except AttentioError as error:
        if "--json" in sys.argv:
            sys.stdout.write(json.dumps({"schema": 1, "error": error.as_dict()}, ensure_ascii=False) + "\n")
        sys.stderr.write(f"error: {error}\n")
        sys.exit(error.exit_status)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:  # the reader has gone, as with `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except Exception as error:  # the last line of defence: no traceback reaches a terminal
        with tempfile.NamedTemporaryFile("w", prefix="attentio-", suffix=".log", delete=False, encoding="utf-8") as log:
            traceback.print_exc(file=log)
        sys.stderr.write(f"error: internal: {type(error).__name__}: {error}. Please report it with {log.name}\n")
        sys.exit(1)
