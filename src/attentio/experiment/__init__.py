"""A comparison: cells trained with several seeds, or trained runs, measured on the same sentences and set side by side.

Nothing here loads a framework, but for what workers do (`jobs`), each in a process of its own.
"""
