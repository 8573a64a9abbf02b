"""Database supervisor: runs the embedded database of a service, and restarts an ended server."""

import time
from collections.abc import Generator
from contextlib import contextmanager

from pydantic import SecretStr

from serve_app.launch.steps import Say, Step, show_nothing
from serve_app.settings import Settings
from storage.embedded import server
from storage.embedded.restarting_server import RestartingServer


class SupervisedDatabase:
    """Running server and the settings with its address; the owner calls ``watch`` regularly."""

    def __init__(self, settings: Settings, database: RestartingServer, say: Say) -> None:
        self._given = settings
        self._kept = database
        self._say = say

    @property
    def settings(self) -> Settings:
        """The settings with the address of the server."""
        return self._given.model_copy(update={"mongodb_uri": SecretStr(self._kept.server.uri)})

    def watch(self) -> None:
        """Restart a server that ended, with its data and at its address.

        Raises ServerEndedError if the restart fails.
        """
        reason = self._kept.find_end_reason()
        if reason is None:
            return
        self._say(f"database   {self._kept.server.engine} ended {reason}")
        begin = time.monotonic()
        self._kept.restart(reason)
        self._say(f"database   started again, with its data ({time.monotonic() - begin:.1f} s)")


@contextmanager
def keep_database(
    settings: Settings, say: Say, step: Step = show_nothing
) -> Generator[SupervisedDatabase | None]:
    """Run the embedded database during the block; yield None if MONGODB_URI is set."""
    if settings.mongodb_uri is not None:
        yield None
        return
    begin = time.monotonic()
    with step("database   starting"):
        database = RestartingServer(settings.data_directory, settings.mongod, owned=True)
    took_s = time.monotonic() - begin
    say(f"database   {database.server.engine}, data in {settings.data_directory} ({took_s:.1f} s)")
    try:
        yield SupervisedDatabase(settings, database, say)
    finally:
        server.stop(settings.data_directory)
