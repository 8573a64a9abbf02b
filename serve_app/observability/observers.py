"""Observers: callbacks by which the calls of this process reach its metrics."""

from collections.abc import Callable
from dataclasses import dataclass

from storage.mongo.command_listener import CallObserver


@dataclass(frozen=True, slots=True)
class Observers:
    """Callbacks for upstream requests, opened circuits and database commands."""

    upstream: CallObserver
    circuit: Callable[[str], None]
    database: CallObserver
