"""Embedded database server: one process for each data directory, for a service on one machine.

The starter takes an flock on the directory and the server inherits the flock, so the lock lasts
exactly as long as the server. ``server.json``, written once the server takes writes, lets other
processes attach.

    data directory/  lock, server.json, secret, port, engine, server.log, data/

The owner alone can read the directory, because ``server.json`` holds the password and ``secret``
holds the key of the server.
"""

import fcntl
import json
import os
import shutil
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final

from storage.embedded.access_control import (
    PRIVATE_FILE,
    build_service_uri,
    ensure_key_file,
    write_private,
)
from storage.embedded.engines import find_engine
from storage.embedded.free_port import free_port, is_free
from storage.embedded.process import (
    POLL_S,
    await_primary,
    end,
    is_alive,
    is_answering,
    read_end_reason,
    spawn,
)
from storage.errors import (
    DataDirectoryLockedError,
    NoRoomError,
    PortTakenError,
    ServerDidNotStartError,
)

START_WITHIN_S: Final = 60.0  # because after a crash the server reads its journal first
PRIVATE_DIRECTORY: Final = 0o700
FILES: Final = ("lock", "server.json", "port", "engine", "server.log")
MIN_ROOM_MB: Final = 120  # because mongod ends if it cannot add 100 MB to its journal
MIN_ROOM_OF_NEW_MB: Final = 350  # two journal files of 100 MB, and a little data


@dataclass(frozen=True, slots=True)
class Server:
    """A running server: its URI, process id, and engine by name and version.

    The URI holds the password.
    """

    uri: str = field(repr=False)
    pid: int
    engine: str


def start(
    data_directory: Path,
    mongod: str | None = None,
    *,
    owned: bool = True,
    exclusive: bool = False,
    same_port: bool = False,
) -> Server:
    """Attach to the server of this directory if it runs, otherwise start a server.

    ``mongod`` is the program to use instead of a search for one. An ``owned`` server ends with this
    process and must be started from its main thread; any other server runs until ``stop``. With
    ``exclusive``, a server that runs already raises DataDirectoryLockedError. With ``same_port``,
    another program at the last port raises PortTakenError.
    """
    # No other thread may, because the kernel ties the life of the server to the starting thread.
    if owned and threading.current_thread() is not threading.main_thread():
        raise RuntimeError("an owned server is started from the main thread")
    directory = data_directory.resolve()
    directory.mkdir(mode=PRIVATE_DIRECTORY, parents=True, exist_ok=True)
    until = time.monotonic() + START_WITHIN_S
    while time.monotonic() < until:
        with _lock_directory(directory) as lock:
            if lock is not None:
                return _launch(directory, mongod, lock, until, owned=owned, same_port=same_port)
        if exclusive:
            raise DataDirectoryLockedError(directory)
        server = _read_note(directory)
        if server is not None and is_answering(server.uri):
            return server
        time.sleep(POLL_S)
    raise ServerDidNotStartError("the server", "it does not answer", directory / "server.log")


def stop(data_directory: Path) -> bool:
    """End the server of this directory and keep the data; False if no server ran."""
    directory = data_directory.resolve()
    until = time.monotonic() + START_WITHIN_S
    while time.monotonic() < until and _is_served(directory):
        server = _read_note(directory)
        if server is not None:
            (directory / "server.json").unlink()  # first, because a keeper would restart it
            end(server.pid)
            return True
        time.sleep(POLL_S)  # the server is still starting
    return False


def find_end_reason(data_directory: Path, server: Server) -> str | None:
    """Reason why a server ended, as the end of a sentence; None while the server runs."""
    if is_alive(server.pid):
        return None
    return read_end_reason(data_directory.resolve() / "server.log")


def is_stopped(data_directory: Path) -> bool:
    """Whether the server of this directory was stopped, or never started."""
    return not (data_directory.resolve() / "server.json").exists()


@contextmanager
def _lock_directory(directory: Path) -> Generator[int | None]:
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
        os.close(lock)  # the server holds the lock from here on


def _is_served(directory: Path) -> bool:
    if not directory.is_dir():
        return False
    with _lock_directory(directory) as lock:
        return lock is None


def _launch(
    directory: Path, mongod: str | None, lock: int, until: float, *, owned: bool, same_port: bool
) -> Server:
    note = directory / "server.json"
    _require_room(directory)
    note.unlink(missing_ok=True)  # left by a server that was killed
    _make_private(directory)
    kind = directory / "engine"
    engine = find_engine(mongod, kind.read_text() if kind.exists() else None)
    data, log = directory / "data", directory / "server.log"
    port = _choose_port(directory / "port", same_port=same_port)
    key_file = ensure_key_file(directory / "secret") if engine.has_access_control else None
    pid = spawn(engine.build_command(data, port, key_file), log, lock, owned=owned)
    try:
        await_primary(engine, pid, port, key_file, log, until)
        write_private(kind, engine.kind)
        server = Server(build_service_uri(port, key_file), pid, str(engine))
        write_private(note, json.dumps(asdict(server)))
    except BaseException:
        end(pid)  # because without its note the server is unusable, yet holds the lock
        raise
    return server


def _require_room(directory: Path) -> None:
    free_mb = shutil.disk_usage(directory).free // 1_000_000
    needed_mb = MIN_ROOM_MB if (directory / "data").exists() else MIN_ROOM_OF_NEW_MB
    if free_mb < needed_mb:
        raise NoRoomError(directory, free_mb, needed_mb)


def _make_private(directory: Path) -> None:
    """Make private what an earlier version left readable; an existing directory keeps its mode."""
    (directory / "data").mkdir(exist_ok=True)
    (directory / "data").chmod(PRIVATE_DIRECTORY)
    for name in FILES:
        if (path := directory / name).exists():
            path.chmod(PRIVATE_FILE)


def _read_note(directory: Path) -> Server | None:
    try:
        return Server(**json.loads((directory / "server.json").read_text()))
    except FileNotFoundError:
        return None


def _choose_port(note: Path, *, same_port: bool) -> int:
    port = int(note.read_text()) if note.exists() else free_port()
    if not is_free(port):
        if same_port:
            raise PortTakenError(port)
        port = free_port()
    write_private(note, str(port))
    return port
