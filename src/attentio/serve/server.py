"""What every dialect is given: the core, and the guard before it."""

from dataclasses import dataclass
from typing import Protocol

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from attentio.serve.guard import Guard
from attentio.serve.problems import Problem
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


class Dialect(Protocol):
    """A module that speaks one API: its routes, and how it says that something went wrong."""

    @staticmethod
    def router(server: Server) -> APIRouter:
        """Return the routes."""
        ...

    @staticmethod
    def refuse(request: Request, problem: Problem) -> Response:
        """Return the answer to a problem."""
        ...
