"""Observers: who is told of the calls of this process, for its metrics."""

from collections.abc import Callable
from dataclasses import dataclass

from storage.mongo.command_listener import Told


@dataclass(frozen=True, slots=True)
class Watch:
    """Whom to tell of each request to an upstream, each circuit that opens and each command to the database."""

    upstream: Told
    circuit: Callable[[str], None]
    database: Told
