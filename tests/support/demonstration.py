"""`ordergen demo` as a process, its descendants and their sockets."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Generator, Iterable
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

import pytest

from storage.embedded.free_port import free_ports

ROOT = Path(__file__).parents[2]
STARTS_WITHIN_S = 300.0
STOPS_WITHIN_S = 60.0


@dataclass(frozen=True, slots=True)
class Demonstration:
    """A running demonstration, and what it printed."""

    process: subprocess.Popen[bytes]
    url: str
    environment: dict[str, str]
    printed: str

    @property
    def children(self) -> list[int]:
        """Every descendant of the demonstration's process."""
        return list_descendants(self.process.pid)


@contextmanager
def run_demonstration(directory: Path, **settings: str) -> Generator[Demonstration]:
    """Run `ordergen demo` with ports and directories of its own, until the block ends."""
    environment = {**make_environment(directory), **settings}
    log = directory / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [Path(sys.executable).with_name("ordergen"), "demo"],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        printed = wait_for_text(log, "Ctrl-C stops everything", process)
        url = f"http://127.0.0.1:{environment['PORT']}"
        yield Demonstration(process, url, environment, printed)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(STOPS_WITHIN_S)
    assert log.read_text().endswith("\nstopping\nstopped\n")
    assert process.returncode == 0


def list_descendants(pid: int) -> list[int]:
    """List the descendants of a process, by the parent ids in /proc."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            parents[int(entry.parent.name)] = int(
                entry.read_bytes().rpartition(b") ")[2].split()[1]
            )
    pids = [pid]
    for above in pids:
        pids += [child for child, parent in parents.items() if parent == above]
    return pids[1:]


def read_arguments(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return [""]


def list_listeners(pids: Iterable[int]) -> list[tuple[str, str, int]]:
    """List process, address and port of every TCP socket that these processes listen on."""
    owners: dict[str, str] = {}
    for pid in pids:
        with suppress(OSError):
            name = Path(f"/proc/{pid}/comm").read_text().strip()
            for link in Path(f"/proc/{pid}/fd").iterdir():
                with suppress(OSError):
                    owners[str(link.readlink())] = name
    listeners: list[tuple[str, str, int]] = []
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            _, local, _, state, *_, inode = line.split()[:10]
            if state == "0A" and (owner := owners.get(f"socket:[{inode}]")):
                host, _, port = local.partition(":")
                words = bytes.fromhex(host)
                packed = b"".join(words[at : at + 4][::-1] for at in range(0, len(words), 4))
                address = ip_address(packed)
                mapped = getattr(address, "ipv4_mapped", None) or address
                listeners.append((owner, str(mapped), int(port, 16)))
    return listeners


def make_environment(directory: Path) -> dict[str, str]:
    """Build an environment with its own ports and directories, without the machine's settings."""
    ports = dict(
        zip(
            ("PORT", "RAY_SERVE_HAPROXY_METRICS_PORT", "RAY_SERVE_HAPROXY_STATS_PORT"),
            map(str, free_ports(3)),
            strict=True,
        )
    )
    own = {
        "HOST": "127.0.0.1",
        "DATA_DIRECTORY": str(directory / "data"),
        "RAY_TMPDIR": str(directory),
    }
    inherited_values = {
        name: value
        for name, value in os.environ.items()
        if name in {"PATH", "HOME", "LANG", "MONGOD", "TMPDIR"}
    }
    return {
        **inherited_values,
        **own,
        **ports,
        "COLUMNS": "120",
        "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
    }


def wait_for_text(log: Path, last: str, process: subprocess.Popen[bytes]) -> str:
    """Wait until the log contains the last words, and return its text."""
    until = time.monotonic() + STARTS_WITHIN_S
    while time.monotonic() < until and process.poll() is None:
        if last in (text := log.read_text()):
            return text
        time.sleep(0.2)
    pytest.fail(f"the demonstration does not come up:\n{log.read_text()}")
