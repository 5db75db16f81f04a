"""`python -m attentio`: the command line, as under torchrun."""

from attentio.cli import command

command()
