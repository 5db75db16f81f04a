"""`attentio config`: what the settings are, what they mean, what a preset or file makes of them."""

from typing import Annotated

import typer

from attentio.cli import options

app = typer.Typer(no_args_is_help=True, help="Show settings, their meaning and their effective values.")


@app.command()
def show(
    preset: options.Preset = "auto",
    config_file: options.ConfigFile = None,
    override: options.Overrides = None,
) -> None:
    """Print the effective configuration as TOML."""
    from attentio.train.settings import dump_config, effective_config

    typer.echo(dump_config(effective_config(preset=preset, file=config_file, overrides=override or ())), nl=False)


@app.command("list")
def list_settings() -> None:
    """List every setting with its meaning and the value that training starts from without options."""
    from attentio.train.settings import DEFAULT_FAMILY, DEFAULT_PRESET, effective_config, sections

    typer.echo(f"# Values of preset {DEFAULT_PRESET}, family {DEFAULT_FAMILY}. Each other family has its own.")
    for section, family, settings in sections():
        typer.echo(f"[{section}]" if family is None else f"[{section}] family = {family!r}")
        values = effective_config(settings={"model": {"family": family or DEFAULT_FAMILY}})
        for name, field in settings.model_fields.items():
            if name != "family":
                typer.echo(f"  {name} = {getattr(getattr(values, section), name)!r}  {field.description}")


@app.command("presets")
def list_presets(
    vocab: Annotated[int, typer.Option(min=5, help="Tokens on each side, for the number of parameters.")] = 8000,
) -> None:
    """List the presets: model, attention, and how many parameters they have."""
    from attentio.train.footprint import describe_model, footprint
    from attentio.train.settings import effective_config, presets

    width = max(map(len, presets()))
    for preset in presets():
        config = effective_config(preset=preset)
        parameters, _ = footprint(config, vocab, vocab)
        typer.echo(f"{preset:{width}}  {parameters / 1e6:5.1f} M  {describe_model(config)}")
