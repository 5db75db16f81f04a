"""`attentio data`: fetch a corpus, look at a parallel file before training, prepare it, sample the small world."""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from attentio.cli import options
from attentio.cli.options import by_section, with_groups
from attentio.errors import UsageError
from attentio.runtime.files import check_folder

app = typer.Typer(no_args_is_help=True, help="Fetch, check, prepare and sample parallel data.")


@app.command()
def download(
    source: Annotated[str, typer.Argument(help="Publisher: tatoeba.", show_default=False)],
    pair: Annotated[str, typer.Argument(help="Two languages, one of them English: eng-cmn.", show_default=False)],
    out: Annotated[Path, typer.Option("--out", help="Folder for the archive and the text.")] = Path("data"),
    former_out: Annotated[Path | None, typer.Option("-o", hidden=True, help="The former short name of --out.")] = None,
    sha256: Annotated[str | None, typer.Option(help="Checksum that the archive must have.")] = None,
    base_url: Annotated[
        str | None, typer.Option(envvar="ATTENTIO_TATOEBA_URL", help="Where the archives are. Default: the publisher.")
    ] = None,
    as_json: options.AsJson = False,
) -> None:
    """Fetch a published corpus: resumed where it broke off, checked, unpacked."""
    from attentio.corpora.tatoeba import TATOEBA_URL, fetch_tatoeba

    if source != "tatoeba":
        raise UsageError(f"unknown publisher {source!r}.", hint="There is one: tatoeba.")
    if former_out is not None:
        sys.stderr.write("note: -o of data download is written --out now\n")
        out = former_out
    check_folder(out)
    with _DownloadBar(pair) as bar:
        fetched = fetch_tatoeba(pair, out, base_url=base_url or TATOEBA_URL, sha256=sha256, progress=bar.update)
    if as_json:
        options.print_json({name: str(value) for name, value in fetched._asdict().items()})
        return
    typer.echo(f"{fetched.sha256}  {fetched.archive}", err=True)
    typer.echo(f"Tatoeba sentences, CC-BY 2.0 FR. Train on them: attentio train {fetched.text}", err=True)
    typer.echo(str(fetched.text))


@app.command()
@with_groups
def report(
    *,
    files: Annotated[
        list[str] | None, typer.Argument(metavar="FILE...", help="Parallel files or built-in corpora.")
    ] = None,
    corpus: options.Corpus,
    override: options.Overrides = None,
    seed: options.Seed = None,
    list_dropped: Annotated[bool, typer.Option("--list-dropped", help="List every pair left out, as TSV.")] = False,
    as_json: options.AsJson = False,
) -> None:
    """Say what training would make of parallel files: counts, scripts, lengths, leak, and what would be dropped."""
    from dataclasses import asdict
    from tempfile import TemporaryDirectory

    from attentio.data.checked import check_corpus
    from attentio.data.prepare import prepare
    from attentio.train.settings import effective_config

    settings = by_section(data=corpus.of(files), train={"seed": seed})
    if not settings["data"].get("train"):
        raise UsageError("no file to report on.", hint="Give a parallel file, or --src and --tgt.")
    run = effective_config(settings=settings, overrides=override or ())
    with TemporaryDirectory(prefix="attentio-") as folder:
        prepared = prepare(run.data, Path(folder) / "data", seed=run.train.seed)
        found = prepared.report
        dropped = (prepared.folder / "dropped.tsv").read_text(encoding="utf-8").split("\n")[:-1]
    wrong = check_corpus(run.data, (found.source.language, found.target.language))
    if as_json:
        shown: dict[str, Any] = asdict(found) | {"findings": [finding.as_dict() for finding in wrong]}
        if list_dropped:
            names = dropped[0].split("\t")
            shown["dropped_pairs"] = [dict(zip(names, row.split("\t"), strict=True)) for row in dropped[1:]]
        options.print_json(shown)
        return
    options.print_lines(found.warnings(), err=True)
    for finding in wrong:
        options.print_lines(finding.lines(), err=True)
    options.print_lines(dropped if list_dropped else found.lines())


@app.command()
@with_groups
def prepare(
    *,
    files: options.Data = None,
    out: Annotated[Path, typer.Option("--out", help="Folder for the prepared data.")] = Path("prepared"),
    corpus: options.Corpus,
    settings: options.Settings,
    quiet: options.Quiet = False,
    as_json: options.AsJson = False,
) -> None:
    """Clean, split and encode parallel files once, so that several trainings share them: attentio train FOLDER."""
    from contextlib import closing
    from dataclasses import asdict

    from attentio.cli.progress import display, speaker
    from attentio.data import prepare as preparing

    run = settings.effective("prepare", {"data": corpus.of(files)})
    split_seed = run.train.seed if run.data.split_seed is None else run.data.split_seed
    config = run.data.model_copy(update={"split_seed": split_seed})  # whatever seed is trained with later
    check_folder(out)
    if (out / preparing.MANIFEST).exists() and not preparing.is_prepared(config, out, seed=split_seed):
        raise UsageError(f"{out} holds other prepared data.", hint="Choose another --out.")
    with closing(display(quiet=quiet)) as shown:
        stages = ("clean", "tokenizer", "encode")

        def progress(stage: str, pairs: int) -> None:
            shown.show({"stage": stage, "pairs": f"{pairs:,}"}, stages.index(stage) / len(stages))

        data = preparing.prepare(config, out, seed=split_seed, progress=progress)
    say = speaker(quiet=quiet)
    for line in [*data.report.warnings(), *data.report.lines(out / "report.json")]:
        say(line)
    say(f"done   {out}  train on it: attentio train {out} --out RUN")
    if as_json:
        options.print_json({"folder": str(out), **asdict(data.report)})


@app.command()
def sample(
    corpus: Annotated[str, typer.Argument(help="Built-in corpus: small-world.", show_default=False)],
    count: Annotated[int, typer.Option("--count", "-n", min=1, help="Number of pairs.")] = 10,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the sample.")] = 0,
) -> None:
    """Print sentence pairs of the small world: English TAB Chinese."""
    from attentio.corpora.small_world.grammar import sample as grammar_sample

    if corpus != "small-world":
        raise UsageError(f"cannot sample {corpus!r}.", hint="There is one corpus to sample: small-world.")
    for pair in grammar_sample(count, seed):
        typer.echo(f"{pair.source}\t{pair.target}")


class _DownloadBar:
    """Bytes fetched, as a bar on a terminal's standard error and as nothing elsewhere."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._bar: Any = None
        self._task: Any = None

    def __enter__(self) -> "_DownloadBar":
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

            columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
            self._bar = Progress(*columns, console=Console(stderr=True))
            self._task = self._bar.add_task(self._name, total=None)
            self._bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def update(self, done: int, total: int | None) -> None:
        if self._bar is not None:
            self._bar.update(self._task, completed=done, total=total)
