"""The embedded database of a service on one machine, started again if it ends."""

import time
from collections import deque
from collections.abc import Callable, Generator
from contextlib import contextmanager

from pydantic import SecretStr

from serve_app.settings import Settings
from storage import embedded
from storage.embedded import Server
from storage.errors import EmbeddedServerError, ServerEndedError

MAX_RESTARTS = 3
RESTARTS_WITHIN_S = 60.0

Say = Callable[[str], None]


class KeptDatabase:
    """A running server and the settings that name it; ``watch`` is called now and then."""

    def __init__(self, settings: Settings, server: Server, say: Say) -> None:
        self._given = settings
        self._server = server
        self._say = say
        self._restarts: deque[float] = deque(maxlen=MAX_RESTARTS)

    @property
    def settings(self) -> Settings:
        """The settings with the address of the server."""
        return self._given.model_copy(update={"mongodb_uri": SecretStr(self._server.uri)})

    def watch(self) -> None:
        """Start the server again if it ended, with its data and at its address.

        Raises ServerEndedError if it cannot be had back.
        """
        reason = embedded.ended(self._given.data_directory, self._server)
        if reason is None:
            return
        self._say(f"database   {self._server.engine} ended {reason}")
        begin = time.monotonic()
        if len(self._restarts) == MAX_RESTARTS and begin - self._restarts[0] < RESTARTS_WITHIN_S:
            log = self._given.data_directory / "server.log"
            raise self._lost(reason, f"it was started {MAX_RESTARTS} times in a minute (see {log})")
        self._restarts.append(begin)
        try:
            again = embedded.start(self._given.data_directory, self._given.mongod, exclusive=True)
        except EmbeddedServerError as error:
            raise self._lost(reason, str(error)) from error
        if again.uri != self._server.uri:  # the replicas know the old address alone
            raise self._lost(reason, "another program has its port")
        self._server = again
        self._say(f"database   started again, with its data ({time.monotonic() - begin:.1f} s)")

    def _lost(self, reason: str, obstacle: str) -> ServerEndedError:
        return ServerEndedError(self._server.engine, reason, obstacle)


@contextmanager
def kept_database(settings: Settings, say: Say) -> Generator[KeptDatabase | None]:
    """The embedded database for as long as the block runs; None where MONGODB_URI is set."""
    if settings.mongodb_uri is not None:
        yield None
        return
    begin = time.monotonic()
    server = embedded.start(settings.data_directory, settings.mongod, exclusive=True)
    took_s = time.monotonic() - begin
    say(f"database   {server.engine}, data in {settings.data_directory} ({took_s:.1f} s)")
    try:
        yield KeptDatabase(settings, server, say)
    finally:
        embedded.stop(settings.data_directory)
