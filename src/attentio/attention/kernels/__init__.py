"""Implementations of attention, and which of them runs."""
