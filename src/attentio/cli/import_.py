"""`attentio import`: a model that another toolkit has trained, as a model of ours."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from attentio.cli import options
from attentio.errors import UsageError
from attentio.runtime.files import check_folder


def import_(
    path: Annotated[Path, typer.Argument(metavar="PATH", help="Model: a folder or a file.")],
    out: Annotated[Path, typer.Option("--out", help="Folder of the model, written whole or not at all.")],
    source_language: Annotated[str | None, typer.Option(help="Language it reads, such as en.")] = None,
    target_language: Annotated[str | None, typer.Option(help="Language it writes.")] = None,
    source_spm: Annotated[
        Path | None, typer.Option(help="SentencePiece file of the source. Default: one in the model's folder.")
    ] = None,
    target_spm: Annotated[Path | None, typer.Option(help="SentencePiece file of the target.")] = None,
    before: Annotated[
        str, typer.Option(help="Token before every source that says what to write, such as >>fra<<.")
    ] = "",
    as_json: options.AsJson = False,
) -> None:
    """Take over a Transformer of Marian, OpenNMT-py or CTranslate2."""
    from attentio.bundle import WEIGHTS
    from attentio.foreign import FORMATS, import_model
    from attentio.foreign.asked import Asked

    check_folder(out)
    if out.exists() and not (out.is_dir() and ((out / WEIGHTS).is_file() or not any(out.iterdir()))):
        raise UsageError(f"{out} holds something else, and would be replaced.", hint="Choose another --out.")
    asked = Asked(source_language, target_language, source_spm, target_spm, before)
    name, bundle = import_model(path, asked)
    bundle.save(out)
    sides = {"source": bundle.source, "target": bundle.target}
    if as_json:
        told: dict[str, object] = {"format": name, "out": str(out), "parameters": bundle.num_parameters}
        for key, side in sides.items():
            facts = {"tokens": side.tokenizer.vocab_size, "tokenizer": side.tokenizer.kind}
            told[key] = {"language": side.language, **facts}
        options.print_json(told)
        return
    sys.stderr.write(f"read     {FORMATS[name].about}, {bundle.num_parameters:,} weights\n")
    for key, side in sides.items():
        language, tokenizer = side.language or "language not known", side.tokenizer
        sys.stderr.write(f"{key}   {language}, {tokenizer.vocab_size:,} tokens, tokenizer {tokenizer.kind}\n")
    sys.stderr.write(f"written  {out}\n")
