"""Observers: who is told of the calls of this process, for its metrics."""

from collections.abc import Callable
from dataclasses import dataclass

from storage.mongo.command_listener import CallObserver


@dataclass(frozen=True, slots=True)
class Observers:
    """Whom to tell of each request to an upstream, each circuit that opens and each command to the database."""

    upstream: CallObserver
    circuit: Callable[[str], None]
    database: CallObserver
