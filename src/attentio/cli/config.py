"""`attentio config`: what the settings are, what they mean, what a preset or file makes of them."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, help="Show settings, their meaning and their effective values.")


@app.command()
def show(
    preset: Annotated[str, typer.Option(help="base, small, tiny or notebook.")] = "base",
    config_file: Annotated[Path | None, typer.Option("--config", help="TOML file with settings.")] = None,
    override: Annotated[
        list[str] | None, typer.Option("--set", "-o", metavar="SECTION.KEY=VALUE", help="Any setting.")
    ] = None,
) -> None:
    """Print the effective configuration as TOML."""
    from attentio.config import dump_config, effective_config

    typer.echo(dump_config(effective_config(preset=preset, file=config_file, overrides=override or ())), nl=False)


@app.command("list")
def list_settings() -> None:
    """List every setting with its default and its meaning."""
    from attentio.config import RunConfig

    for section, model in RunConfig():
        typer.echo(f"[{section}]")
        for name, field in type(model).model_fields.items():
            typer.echo(f"  {name} = {field.default!r}  {field.description}")
