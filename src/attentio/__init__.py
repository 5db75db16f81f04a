"""Attentio: neural machine translation in which attention is the part you choose, measure and see."""

from importlib.metadata import version

__version__ = version("attentio")
