"""Readers of parallel text, one file for each format."""
