"""Pictures of an attention trace: in the terminal and as PNG or SVG files.

A view reads traces and never models. It changes nothing in what it shows. Each module is imported by its own name, so
that looking in the terminal does not load matplotlib.
"""
