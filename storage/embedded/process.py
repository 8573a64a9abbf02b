"""Life of one server process: start, wait for readiness, make a replica set of one, end."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from pymongo import MongoClient
from pymongo.errors import OperationFailure, PyMongoError

from storage.embedded.access_control import PRIVATE_FILE, build_internal_uri, ensure_user
from storage.embedded.engines import MONGOD, REPLICA_SET, Engine
from storage.errors import ServerDidNotStartError
from storage.mongo.connection import Document

ANSWER_WITHIN_MS: Final = 2_000
CONNECT_WITHIN_MS: Final = 200  # short, because loopback connects or refuses at once
STOP_WITHIN_S: Final = 15.0
DETACH_WITHIN_S: Final = 30.0
POLL_S: Final = 0.02
NOT_YET_INITIALIZED: Final = 94
OWNER_ALONE: Final = 0o077
LOG_TAIL_BYTES: Final = 200_000
NO_ROOM: Final = (b"No space left on device", b"Disk quota exceeded", b"File too large")

# Raises the limit of open files, because every collection and index is a file, a shell allows 1,024
# by default, and a server that can open no more files ends at once.
_OPEN_FILES: Final = """
import contextlib, resource
most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
with contextlib.suppress(ValueError):  # macOS has a lower bound of its own
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
"""

# Sets PR_SET_PDEATHSIG (1) and becomes the server: the kernel then ends the server with its owner,
# even an owner that was killed. A fresh interpreter does this, because it has no other threads.
_LAUNCHER: Final = f"""
import ctypes, os, signal, sys
{_OPEN_FILES}
ctypes.CDLL(None).prctl(1, signal.SIGTERM)
if os.getppid() == int(sys.argv[1]):
    os.execv(sys.argv[2], sys.argv[2:])
"""

# Detaches from its parent before it becomes the server, because Ray kills the children of a worker
# that ends, and the worker that builds an application ends at once.
DETACHER: Final = f"""
import os, sys
{_OPEN_FILES}
pid = os.fork()
if pid:
    os.write(int(sys.argv[1]), str(pid).encode())
    os._exit(0)
os.close(int(sys.argv[1]))
os.execv(sys.argv[2], sys.argv[2:])
"""

# Children to reap, because a Popen that is collected while its process runs warns.
_children: dict[int, subprocess.Popen[bytes]] = {}


def spawn(
    command: Sequence[str], log: Path, lock: int, *, owned: bool, detacher: str = DETACHER
) -> int:
    """Start a server that inherits the lock, and return its process id.

    The server gets its own session, because otherwise the terminal's Ctrl-C would end the server
    before the service has drained its requests.
    """
    for pid in tuple(_children):
        if not is_alive(pid):
            del _children[pid]
    if not owned:
        return _spawn_detached(command, log, lock, detacher)
    if sys.platform == "linux":
        command = (sys.executable, "-ISc", _LAUNCHER, str(os.getpid()), *command)
    process = _start_process(command, log, lock)
    _children[process.pid] = process
    return process.pid


def _spawn_detached(command: Sequence[str], log: Path, lock: int, detacher: str) -> int:
    reader, writer = os.pipe()
    try:
        child = _start_process(
            (sys.executable, "-ISc", detacher, str(writer), *command), log, lock, writer
        )
    finally:
        os.close(writer)  # because the reader waits until every copy of the writer is closed
    with os.fdopen(reader, "rb") as answer:
        try:
            child.wait(DETACH_WITHIN_S)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
        pid = answer.read()
    if not pid:
        raise ServerDidNotStartError(Path(command[0]).name, "no process for it could be made", log)
    return int(pid)


def _start_process(command: Sequence[str], log: Path, *descriptors: int) -> subprocess.Popen[bytes]:
    if log.exists():  # kept, because the log may say why the previous server ended
        log.replace(log.with_name(f"{log.name}.previous"))
    with os.fdopen(os.open(log, os.O_WRONLY | os.O_CREAT, PRIVATE_FILE), "wb") as output:
        return subprocess.Popen(  # noqa: S603
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=log.parent,
            pass_fds=descriptors,
            start_new_session=True,
            umask=OWNER_ALONE,
        )


def is_alive(pid: int) -> bool:
    """Whether the process runs; a child of this process that ended is reaped."""
    child = _children.get(pid)
    if child is not None:
        return child.poll() is None
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def end(pid: int) -> None:
    """Ask the server to stop, and kill the server after 15 s."""
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
        os.kill(pid, signal.SIGCONT)  # because a suspended process does not see SIGTERM
        deadline = time.monotonic() + STOP_WITHIN_S
        while is_alive(pid) and time.monotonic() < deadline:
            time.sleep(POLL_S)
        if is_alive(pid):
            os.kill(pid, signal.SIGKILL)
    child = _children.pop(pid, None)
    if child is not None:
        child.wait()


def is_answering(uri: str) -> bool:
    """Whether a server answers at this address."""
    patience: dict[str, Any] = {
        "timeoutMS": ANSWER_WITHIN_MS,
        "serverSelectionTimeoutMS": CONNECT_WITHIN_MS,
    }
    with MongoClient[Document](uri, **patience) as client:
        try:
            client.admin.command("ping")
        except PyMongoError:
            return False
    return True


def await_primary(
    engine: Engine, pid: int, port: int, key_file: Path | None, log: Path, until: float
) -> None:
    """Wait until the server takes writes; ``until`` is a moment of the monotonic clock.

    With a key file the service's user exists afterwards.
    """

    def pause() -> None:
        if not is_alive(pid):
            raise ServerDidNotStartError(str(engine), f"it ended {read_end_reason(log)}", log)
        if time.monotonic() > until:
            raise ServerDidNotStartError(str(engine), "it does not answer", log)
        time.sleep(POLL_S)

    # The port is polled here, because the driver tries a silent address only twice a second.
    while not _is_listening(port):
        pause()
    uri = build_internal_uri(port, key_file)
    with MongoClient[Document](uri, timeoutMS=ANSWER_WITHIN_MS) as client:
        while not _takes_writes(client, engine, port, key_file):
            pause()


def read_end_reason(log: Path) -> str:
    """Reason why a server ended, as the end of a sentence, from its log if the log has one."""
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - LOG_TAIL_BYTES))
        tail = file.read()
    full = shutil.disk_usage(log.parent).free < LOG_TAIL_BYTES
    if full or any(words in tail for words in NO_ROOM):
        return "because its disk is full"
    return "unexpectedly"


def _takes_writes(
    client: MongoClient[Document], engine: Engine, port: int, key_file: Path | None
) -> bool:
    try:
        if client.admin.command("hello").get("isWritablePrimary"):
            if key_file is not None:
                ensure_user(client, key_file)
            return True
        if engine.kind == MONGOD:
            _configure_replica_set(client, f"127.0.0.1:{port}")
    except PyMongoError:
        return False  # the server is still recovering or electing itself
    return False


def _configure_replica_set(client: MongoClient[Document], host: str) -> None:
    try:
        configuration = client.admin.command("replSetGetConfig")["config"]
    except OperationFailure as error:
        if error.code != NOT_YET_INITIALIZED:
            raise
        members = [{"_id": 0, "host": host}]
        client.admin.command("replSetInitiate", {"_id": REPLICA_SET, "members": members})
        return
    if configuration["members"][0]["host"] != host:  # because the last port was taken
        configuration["members"][0]["host"] = host
        configuration["version"] += 1
        client.admin.command("replSetReconfig", configuration, force=True)


def _is_listening(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False
