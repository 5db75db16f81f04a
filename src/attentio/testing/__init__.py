"""The conformance suite: the laws that every kind of attention obeys, also for a kind of your own."""

from attentio.testing.conformance import LAWS, conform

__all__ = ["LAWS", "conform"]
