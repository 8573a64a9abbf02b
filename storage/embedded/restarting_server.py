"""An embedded server that is restarted when it ends, with its data and at its address."""

import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Final

from storage.embedded import server
from storage.embedded.server import Server
from storage.errors import EmbeddedServerError, ServerEndedError

MAX_RESTARTS: Final = 3
RESTARTS_WITHIN_S: Final = 60.0
Clock = Callable[[], float]
"""Returns the seconds since a fixed moment."""


class RestartingServer:
    """A running server; its keeper polls ``find_end_reason`` and then calls ``restart``.

    An ``owned`` server ends with this process and has exclusive use of its data directory.
    """

    def __init__(
        self, directory: Path, mongod: str | None, *, owned: bool, clock: Clock = time.monotonic
    ) -> None:
        self._clock = clock
        self._directory = directory
        self._mongod = mongod
        self._owned = owned
        self._restarts: deque[float] = deque(maxlen=MAX_RESTARTS)
        self.server = self._start(same_port=False)

    def find_end_reason(self) -> str | None:
        """Reason why the server ended, as the end of a sentence; None while the server runs."""
        return server.find_end_reason(self._directory, self.server)

    def restart(self, reason: str) -> None:
        """Restart the server, which ended for this reason; raise ServerEndedError if that fails.

        The restart also fails after three starts in a minute, and if another program has the port,
        because the clients of the server know its old address alone.
        """
        now = self._clock()
        if len(self._restarts) == MAX_RESTARTS and now - self._restarts[0] < RESTARTS_WITHIN_S:
            log = self._directory / "server.log"
            obstacle = f"it was started {MAX_RESTARTS} times in a minute (see {log})"
            raise self._make_end_error(reason, obstacle)
        self._restarts.append(now)
        try:
            again = self._start(same_port=True)
        except (EmbeddedServerError, OSError) as error:
            raise self._make_end_error(reason, str(error)) from error
        if again.uri != self.server.uri:
            raise self._make_end_error(reason, "somebody else started it at another address")
        self.server = again

    def _start(self, *, same_port: bool) -> Server:
        return server.start(
            self._directory,
            self._mongod,
            owned=self._owned,
            exclusive=self._owned,
            same_port=same_port,
        )

    def _make_end_error(self, reason: str, obstacle: str) -> ServerEndedError:
        return ServerEndedError(self.server.engine, reason, obstacle)
