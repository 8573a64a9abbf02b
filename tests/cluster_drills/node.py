"""Node of a cluster: a container of the image, read-only, in the network namespace of a host.

runc runs it, as Kubernetes would have it run: the user of the image, no capabilities, memory for
/tmp and /dev/shm, the address of the database from a file. A node that is killed loses all its
processes.
"""

import json
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.cluster_drills.network import HOSTS, PREFIX, address, path_of

USER: Final = 10001
END_WITHIN_S: Final = 130.0  # terminationGracePeriodSeconds of the manifests, and a little
EXEC_WITHIN_S: Final = 120.0
PLAIN: Final = ["nosuid", "noexec", "nodev"]


@dataclass(frozen=True)
class Image:
    """Files, environment and directories that all nodes share."""

    root: Path
    environment: Mapping[str, str]
    directory: Path
    secrets: Path
    holdings: Path


class Node:
    """Container on a host; `start` runs it again after its end."""

    def __init__(self, image: Image, host: str, command: Sequence[str]) -> None:
        self.host = host
        self._image = image
        self._command = command
        self._bundle = image.directory / host
        self._bundle.mkdir(exist_ok=True)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def name(self) -> str:
        return PREFIX + self.host

    @property
    def url(self) -> str:
        return f"http://{address(self.host)}:8088"

    @property
    def log(self) -> str:
        return (self._bundle / "log").read_text(errors="replace")

    def start(self) -> None:
        self._runc("delete", "--force", self.name)
        (self._bundle / "hosts").write_text(
            "127.0.0.1 localhost\n" + "".join(f"{address(host)} {host}\n" for host in HOSTS)
        )
        (self._bundle / "resolv.conf").write_text("")
        (self._bundle / "config.json").write_text(json.dumps(self._specification()))
        with (self._bundle / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [*self._base, "run", "--bundle", str(self._bundle), self.name],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def kill(self) -> None:
        """End the node as a loss of power does."""
        self._runc("kill", self.name, "KILL")
        self.wait()

    def stop(self) -> float:
        """End the node as a drain does, by SIGTERM; return the seconds until its end."""
        begin = time.monotonic()
        self._runc("kill", self.name, "TERM")
        self.wait()
        return time.monotonic() - begin

    def wait(self) -> None:
        if self._process is not None:
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(END_WITHIN_S)
        self._runc("delete", "--force", self.name)

    def run(self, *command: str) -> str:
        """Run a command in the node; raise CalledProcessError if it fails."""
        return subprocess.run(
            [*self._base, "exec", self.name, *command],
            capture_output=True,
            text=True,
            timeout=EXEC_WITHIN_S,
            check=True,
        ).stdout

    def processes(self, title: str) -> list[int]:
        """List the processes of this node whose title begins with the text."""
        result = self._runc("ps", "--format", "json", self.name)
        pids: list[int] = []
        for number in json.loads(result.stdout or "null") or []:
            with suppress(OSError):
                if Path(f"/proc/{number}/cmdline").read_bytes().startswith(title.encode()):
                    pids.append(number)
        return pids

    def kill_processes(self, title: str) -> int:
        pids = self.processes(title)
        for number in pids:
            with suppress(ProcessLookupError):
                os.kill(number, signal.SIGKILL)
        return len(pids)

    @property
    def _base(self) -> list[str]:
        return ["runc", "--root", str(self._image.directory / "runc")]

    def _runc(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [*self._base, *arguments], capture_output=True, text=True, timeout=30, check=False
        )

    def _specification(self) -> dict[str, Any]:
        environment = {
            "PATH": "/app/.venv/bin:/usr/local/bin:/usr/bin:/bin",
            "PYTHONUNBUFFERED": "1",
            "DATA_DIRECTORY": "/data",
            "SSL_CERT_FILE": "/etc/ssl/certs/ca-certificates.crt",
            **self._image.environment,
        }
        kinds = ("pid", "ipc", "uts", "mount")
        network = {"type": "network", "path": str(path_of(self.host))}
        return {
            "ociVersion": "1.0.2",
            "hostname": self.host,
            "root": {"path": str(self._image.root), "readonly": True},
            "process": {
                "user": {"uid": USER, "gid": USER},
                "cwd": "/app",
                "args": list(self._command),
                "env": [f"{name}={value}" for name, value in environment.items()],
                "noNewPrivileges": True,
            },
            "mounts": self._mounts(),
            "linux": {"namespaces": [*({"type": kind} for kind in kinds), network]},
        }

    def _mounts(self) -> list[dict[str, Any]]:
        def memory(place: str, *options: str) -> dict[str, Any]:
            mount_options = ["nosuid", "nodev", *options]
            return {
                "destination": place,
                "type": "tmpfs",
                "source": "tmpfs",
                "options": mount_options,
            }

        def bind(place: str, source: Path) -> dict[str, Any]:
            options = ["bind", "ro"]
            return {"destination": place, "type": "bind", "source": str(source), "options": options}

        return [
            {"destination": "/proc", "type": "proc", "source": "proc"},
            {**memory("/dev", "strictatime", "mode=755"), "options": ["nosuid", "mode=755"]},
            {
                "destination": "/dev/pts",
                "type": "devpts",
                "source": "devpts",
                "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"],
            },
            {"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": [*PLAIN, "ro"]},
            memory("/dev/shm", "noexec", "mode=1777", "size=1g"),
            memory("/tmp", "noexec", "mode=1777", "size=4g"),
            bind("/etc/hosts", self._bundle / "hosts"),
            bind("/etc/resolv.conf", self._bundle / "resolv.conf"),
            bind("/run/secrets/database", self._image.secrets),
            bind("/data", self._image.holdings),
        ]
