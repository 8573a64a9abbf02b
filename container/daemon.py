"""Docker daemon of our own, for a machine without a running engine but with Debian's docker.io.

It lives for the time of a command, without a bridge and without rules of the firewall, because it
serves nobody else, so that its containers share the network of the machine. Its images stay in
.containers.
"""

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from container.engine import STATE, Engine, EngineError, PrerequisiteError

START_WITHIN_S: Final = 30.0
STOP_WITHIN_S: Final = 30.0


def find_daemon() -> str | None:
    return shutil.which("dockerd", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin")


@contextmanager
def run_daemon(program: str, environment: Mapping[str, str]) -> Generator[Engine]:
    """Run a docker daemon of our own during the block.

    Args:
        program: client of docker
        environment: for the client

    """
    daemon = find_daemon()
    if os.geteuid() != 0 or daemon is None:
        message = "a docker daemon of our own needs root, and the package docker.io"
        raise PrerequisiteError(message)
    STATE.mkdir(parents=True, exist_ok=True)
    # Short, because the path of a socket has at most 107 bytes.
    run = Path(tempfile.mkdtemp(prefix="ordergen-docker-"))
    engine = Engine(program, {**environment, "DOCKER_HOST": f"unix://{run}/socket"}, is_own=True)
    process = _start(daemon, run)
    try:
        _await_daemon(engine, process)
        yield engine
    finally:
        _stop(process, run)


def _start(daemon: str, run: Path) -> "subprocess.Popen[bytes]":
    configuration = run / "daemon.json"
    configuration.write_text("{}")  # in place of the machine's, which may name another storage
    command = [
        daemon,
        f"--config-file={configuration}",
        f"--host=unix://{run}/socket",
        f"--data-root={STATE / 'data'}",
        f"--exec-root={run / 'exec'}",
        f"--pidfile={run / 'pid'}",
        "--bridge=none",
        "--iptables=false",
        "--storage-driver=overlay2",
    ]
    path = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"
    with (STATE / "dockerd.log").open("wb") as log:
        return subprocess.Popen(  # noqa: S603
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={**os.environ, "PATH": path},
            start_new_session=True,
        )


def _await_daemon(engine: Engine, process: "subprocess.Popen[bytes]") -> None:
    until = time.monotonic() + START_WITHIN_S
    while not engine.answers:
        if process.poll() is not None or time.monotonic() > until:
            lines = (STATE / "dockerd.log").read_text(errors="replace").splitlines()[-5:]
            raise EngineError("\n".join(["the docker daemon did not start", *lines]))
        time.sleep(0.2)


def _stop(process: "subprocess.Popen[bytes]", run: Path) -> None:
    process.terminate()
    try:
        process.wait(STOP_WITHIN_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    # The daemon leaves this mount, and a directory with a mount cannot be removed.
    subprocess.run(  # noqa: S603
        ["umount", "--quiet", str(run / "exec/netns/default")],  # noqa: S607
        stderr=subprocess.DEVNULL,
        check=False,
    )
    shutil.rmtree(run, ignore_errors=True)
