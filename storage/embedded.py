"""The embedded database server: one process a data directory, for a service on one machine.

The starter takes an flock on the directory and the server inherits it, so the lock lasts exactly as
long as the server. ``server.json``, written once the server takes writes, lets others attach.

    data directory/  lock, server.json, port, engine, server.log, data/
"""

import fcntl
import json
import os
import socket
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from storage.engines import find_engine
from storage.errors import DataDirectoryLockedError, ServerDidNotStartError
from storage.server_process import POLL_S, answers, await_primary, end, spawn

START_WITHIN_S: Final = 60.0  # after a crash the server reads its journal first


@dataclass(frozen=True, slots=True)
class Server:
    """A running server: where it answers, its process, its engine by name and version."""

    uri: str
    pid: int
    engine: str


def start(
    data_directory: Path,
    mongod: str | None = None,
    *,
    owned: bool = True,
    exclusive: bool = False,
) -> Server:
    """The server of this directory: attached to if one runs, else started.

    ``mongod`` is the program to use instead of those that are looked for. A server that is ``owned``
    ends with this process and must be started from its main thread; another runs until ``stop``.
    With ``exclusive`` a server that runs already raises DataDirectoryLockedError.
    """
    # The kernel ties the server's life to the thread that started it, not to the process.
    if owned and threading.current_thread() is not threading.main_thread():
        raise RuntimeError("an owned server is started from the main thread")
    directory = data_directory.resolve()
    directory.mkdir(parents=True, exist_ok=True)
    until = time.monotonic() + START_WITHIN_S
    while time.monotonic() < until:
        with _locked(directory) as lock:
            if lock is not None:
                return _launch(directory, mongod, lock, until, owned=owned)
        if exclusive:
            raise DataDirectoryLockedError(directory)
        server = _noted(directory)
        if server is not None and answers(server.uri):
            return server
        time.sleep(POLL_S)
    raise ServerDidNotStartError("the server", "it does not answer", directory / "server.log")


def stop(data_directory: Path) -> bool:
    """End the server of this directory; False if none ran. Its data stays."""
    directory = data_directory.resolve()
    until = time.monotonic() + START_WITHIN_S
    while time.monotonic() < until and _is_served(directory):
        server = _noted(directory)
        if server is not None:
            end(server.pid)
            return True
        time.sleep(POLL_S)  # it is still starting
    return False


@contextmanager
def _locked(directory: Path) -> Generator[int | None]:
    lock = os.open(directory / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        yield None
        return
    try:
        yield lock
    finally:
        os.close(lock)  # the server holds it from here on


def _is_served(directory: Path) -> bool:
    if not directory.is_dir():
        return False
    with _locked(directory) as lock:
        return lock is None


def _launch(directory: Path, mongod: str | None, lock: int, until: float, *, owned: bool) -> Server:
    note = directory / "server.json"
    note.unlink(missing_ok=True)  # of a server that was killed
    kind = directory / "engine"
    engine = find_engine(mongod, kind.read_text() if kind.exists() else None)
    data, log = directory / "data", directory / "server.log"
    data.mkdir(exist_ok=True)
    port = _free_port(directory / "port")
    uri = f"mongodb://127.0.0.1:{port}/?directConnection=true"
    pid = spawn(engine.command(data, port), log, lock, owned=owned)
    try:
        await_primary(engine, pid, port, uri, log, until)
    except BaseException:
        end(pid)
        raise
    kind.write_text(engine.kind)
    server = Server(uri, pid, str(engine))
    _replace(note, json.dumps(asdict(server)))
    return server


def _noted(directory: Path) -> Server | None:
    try:
        return Server(**json.loads((directory / "server.json").read_text()))
    except FileNotFoundError:
        return None


def _replace(path: Path, text: str) -> None:
    # In one step: whoever reads meanwhile sees the old text or the new one.
    written = path.with_suffix(".new")
    written.write_text(text)
    written.replace(path)


def _free_port(remembered: Path) -> int:
    wanted = int(remembered.read_text()) if remembered.exists() else 0
    for candidate in (wanted, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", candidate))
            except OSError:
                continue
            port: int = probe.getsockname()[1]
        remembered.write_text(str(port))
        return port
    raise OSError("no loopback port is free")
