"""An embedded server that is started again if it ends, with its data and at its address."""

import time
from collections import deque
from pathlib import Path
from typing import Final

from storage.embedded import server
from storage.embedded.server import Server
from storage.errors import EmbeddedServerError, ServerEndedError

MAX_RESTARTS: Final = 3
RESTARTS_WITHIN_S: Final = 60.0


class RestartingServer:
    """A running server; who keeps it asks ``reason_of_end`` now and then, and calls ``restart``.

    One that is ``owned`` ends with this process, and has its data directory for itself.
    """

    def __init__(self, directory: Path, mongod: str | None, *, owned: bool) -> None:
        self._directory = directory
        self._mongod = mongod
        self._owned = owned
        self._restarts: deque[float] = deque(maxlen=MAX_RESTARTS)
        self.server = self._start(same_port=False)

    def reason_of_end(self) -> str | None:
        """Why the server no longer runs, as the end of a sentence; None while it runs."""
        return server.ended(self._directory, self.server)

    def restart(self, reason: str) -> None:
        """Start the server again, which ended for this reason; raise ServerEndedError if that fails.

        It fails, too, after three starts in a minute, and where another program has its port: those
        who use the server know its old address alone.
        """
        now = time.monotonic()
        if len(self._restarts) == MAX_RESTARTS and now - self._restarts[0] < RESTARTS_WITHIN_S:
            log = self._directory / "server.log"
            obstacle = f"it was started {MAX_RESTARTS} times in a minute (see {log})"
            raise self._ended(reason, obstacle)
        self._restarts.append(now)
        try:
            again = self._start(same_port=True)
        except (EmbeddedServerError, OSError) as error:
            raise self._ended(reason, str(error)) from error
        if again.uri != self.server.uri:
            raise self._ended(reason, "somebody else started it at another address")
        self.server = again

    def _start(self, *, same_port: bool) -> Server:
        return server.start(
            self._directory,
            self._mongod,
            owned=self._owned,
            exclusive=self._owned,
            same_port=same_port,
        )

    def _ended(self, reason: str, obstacle: str) -> ServerEndedError:
        return ServerEndedError(self.server.engine, reason, obstacle)
