"""Translating for browsers and programs on this machine. `app` makes the application, and serves it."""
