"""What every dialect is given: the core, and the guard before it.

A dialect is a module that speaks one API. `router(server)` gives its routes, `refuse(request, problem)` the answer to a
problem.
"""

from dataclasses import dataclass

from attentio.serve.guard import Guard
from attentio.serve.service import Service
from attentio.serve.settings import Settings


@dataclass(frozen=True)
class Server:
    """The parts of one server that its dialects share."""

    service: Service
    guard: Guard

    @property
    def settings(self) -> Settings:
        """Return what the operator decided."""
        return self.service.settings
