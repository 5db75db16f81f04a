"""`attentio serve`: a private translation server that speaks the APIs of others."""

import logging
import sys
from contextlib import suppress
from pathlib import Path
from threading import Thread
from typing import Annotated

import typer

from attentio.cli import options
from attentio.errors import UsageError
from attentio.runtime.files import check_place
from attentio.search import DEFAULT_BEAM

MEBIBYTE = 1 << 20


def serve(
    runs: Annotated[
        list[str],
        typer.Argument(metavar="RUN...", help="Run folders. RUN=en-de names the languages of one that does not."),
    ],
    host: Annotated[str, typer.Option(help="Address to listen on. Beyond this machine it needs --keys or --open.")] = (
        "127.0.0.1"
    ),
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port. 0 takes any free one.")] = 5000,
    keys: Annotated[Path | None, typer.Option(help="File of keys, one a line. Clients need one of them.")] = None,
    open_to_all: Annotated[bool, typer.Option("--open", help="Let everyone who reaches --host translate.")] = False,
    allow_host: Annotated[
        list[str] | None, typer.Option(help="Name that requests may be addressed to, as behind a proxy. Repeatable.")
    ] = None,
    cors_origin: Annotated[
        list[str] | None, typer.Option(help="Site whose pages may ask, https://example.org, or *. Repeatable.")
    ] = None,
    proxy: Annotated[
        list[str] | None, typer.Option(help="Address of a proxy whose X-Forwarded-For is believed. Repeatable.")
    ] = None,
    rate_limit: Annotated[
        str | None, typer.Option(metavar="N/TIME", help="Texts of each key or address, such as 60/minute.")
    ] = None,
    max_characters: Annotated[int, typer.Option(min=1, help="Characters of one text.")] = 5_000,
    max_texts: Annotated[int, typer.Option(min=1, help="Texts of one request.")] = 128,
    max_body: Annotated[int, typer.Option(min=1, help="MiB of one request.")] = 1,
    max_file: Annotated[int, typer.Option(min=1, help="MiB of one file.")] = 10,
    max_alternatives: Annotated[int, typer.Option(min=0, help="Alternatives that a request may ask for.")] = 9,
    deadline: Annotated[float, typer.Option(min=0.1, help="Seconds that a request may take.")] = 60,
    queue: Annotated[int, typer.Option(min=1, help="Texts that may wait. Then requests are told to come back.")] = 1024,
    batch_wait: Annotated[float, typer.Option(min=0, help="Milliseconds that a text waits for others.")] = 5,
    batch_texts: Annotated[int, typer.Option(min=1, help="Texts of a batch at most. 1 turns batches off.")] = 64,
    threads: Annotated[int, typer.Option(min=1, help="Batches at once, each on one processor core.")] = 1,
    cache: Annotated[int, typer.Option(min=0, help="Translations kept in memory and given again. 0: none.")] = 0,
    glossary: Annotated[
        Path | None, typer.Option(help="TSV of terms and the translations they must have. For one pair of languages.")
    ] = None,
    memory: Annotated[
        Path | None, typer.Option(help="TMX or TSV of known translations. They are used where they fit.")
    ] = None,
    suggestions: Annotated[
        Path | None, typer.Option(help="TSV to which better translations are added, for `attentio train`.")
    ] = None,
    beam: options.Beam = DEFAULT_BEAM,
    device: options.Device = "auto",
    precision: options.Precision = "fp32",
    engine: options.Engine = "attentio",
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Log each request: method, path, status, time. Never its text.")
    ] = False,
) -> None:
    """Serve models over HTTP: LibreTranslate's API, DeepL's, OpenAI's, our own, and the page."""
    named = [_named(run) for run in runs]
    from attentio.cli.documents import read_memory
    from attentio.documents import Glossary
    from attentio.runtime import compiler

    compiler.put_off()
    Thread(target=_prepare, daemon=True).start()
    from attentio.serve.app import create_app, is_local, listen, run
    from attentio.serve.guard import read_keys, read_rate
    from attentio.serve.settings import Settings

    if not is_local(host) and keys is None and not open_to_all:
        raise UsageError(
            f"on {host} everyone who reaches this machine could translate.",
            hint="Name a file of keys with --keys, or say --open.",
        )
    for name, path in (("glossary", glossary), ("memory", memory), ("suggestions", suggestions)):
        if path is not None and len(runs) > 1:
            raise UsageError(f"--{name} is for one pair of languages.", hint="Serve one model.")
    check_place(suggestions)
    if rate_limit is not None:
        read_rate(rate_limit)
    settings = Settings(
        host=host,
        port=port,
        keys=frozenset() if keys is None else read_keys(keys),
        allowed_hosts=tuple(allow_host or ()),
        origins=tuple(cors_origin or ()),
        proxies=tuple(proxy or ()),
        beam=beam,
        seconds=deadline,
        characters=max_characters,
        texts=max_texts,
        body=max_body * MEBIBYTE,
        file_body=max_file * MEBIBYTE,
        alternatives=max_alternatives,
        waiting=queue,
        batch_wait=batch_wait / 1000,
        batch_texts=batch_texts,
        threads=threads,
        rate=rate_limit,
        cache=cache,
        suggestions=suggestions,
    )
    terms = None if glossary is None else Glossary.read(glossary)
    with listen(host, port) as listening:  # before models are opened, which takes a moment
        from attentio.translator import Translator

        if engine == "attentio":
            with suppress(ModuleNotFoundError):  # exported models need no torch
                from attentio.model.fast import probe

                probe.settle()
        names = _distinct([path.resolve().name for path, _ in named])
        translators = {
            name: Translator.load(path, device=device or "auto", precision=precision, engine=engine)
            for name, (path, _) in zip(names, named, strict=True)
        }
        if engine == "attentio":
            options.note_slow_precision(precision, device)
        languages = {name: pair for name, (_, pair) in zip(names, named, strict=True) if pair is not None}
        for name, translator in translators.items():
            if name not in languages and not (translator.source_language and translator.target_language):
                what = f"the model {name} does not know its languages."
                raise UsageError(what, hint=f"Name them, such as {name}=en-de.")
        known = read_memory(memory, next(iter(translators.values())))
        app = create_app(translators, settings, languages=languages, glossary=terms, memory=known)
        for note in terms.notes if terms is not None else ():
            sys.stderr.write(f"note: {note}\n")
        for name, translator in translators.items():
            source, target = languages.get(name, (translator.source_language, translator.target_language))
            sys.stderr.write(f"model  {name}, {source} to {target}\n")
        shown = f"[{host}]" if ":" in host else host
        sys.stderr.write(f"serving http://{shown}:{listening.getsockname()[1]}/ (Ctrl-C stops it)\n")
        logging.basicConfig(stream=sys.stderr, format="%(asctime)s %(levelname)s %(message)s")
        logging.getLogger("python_multipart").setLevel(logging.CRITICAL)  # it names characters of what clients send
        logging.getLogger("attentio.serve").setLevel(logging.INFO if verbose else logging.WARNING)
        run(app, listening, settings)


def _prepare() -> None:
    """Load what detects languages, which is mostly unpacking, beside torch."""
    with suppress(ImportError):  # what is missing is said where the server is made
        from attentio.serve.languages import prepare

        prepare()


def _named(run: str) -> tuple[Path, tuple[str, str] | None]:
    """Return the folder of RUN or RUN=en-de, and the languages."""
    path, sign, languages = run.rpartition("=")
    if not sign or Path(run).exists():
        return Path(run), None
    source, dash, target = languages.partition("-")
    if not (dash and source and target):
        raise UsageError(f"cannot read the languages of {run!r}.", hint="Write them as RUN=en-de.")
    return Path(path), (source, target)


def _distinct(names: list[str]) -> list[str]:
    """Return names that differ: of equal ones, the second gets -2 at its end."""
    return [
        f"{name}-{names[:place].count(name) + 1}" if name in names[:place] else name for place, name in enumerate(names)
    ]
