"""Container engines of this machine: docker, podman, buildah, or a docker daemon of our own.

A machine without a running engine, but with Debian's docker.io, gets a daemon for the time of a
command: without a bridge and without rules of the firewall, because it serves nobody else, so that
its containers share the network of the machine. Its images stay in .containers.
"""

import fcntl
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).parents[1]
# Not in .cache, which the build of the documentation empties.
STATE: Final = ROOT / ".containers"
START_WITHIN_S: Final = 30.0
STOP_WITHIN_S: Final = 30.0
ASK_WITHIN_S: Final = 20.0
BUILD_WITHIN_S: Final = 3600.0
EXPORT_WITHIN_S: Final = 600.0
# BuildKit is in clients before 23; later ones call a plugin, buildx.
LAST_WITH_BUILDKIT: Final = 22
PACKAGES: Final = (
    "no container engine: install Docker or podman, or on Debian 12, as root:\n"
    "  apt-get install --no-install-recommends docker.io debootstrap"
)


class PrerequisiteError(Exception):
    """Something is missing on this machine; the text says what to install."""


class EngineError(Exception):
    """A command of the engine failed; the text is the end of its output."""


@dataclass(frozen=True, slots=True)
class Engine:
    """Container engine, by its command."""

    program: str
    environment: dict[str, str] = field(default_factory=dict[str, str])
    is_own: bool = False
    """Whether the daemon is ours, and its containers share the network of the machine."""

    @property
    def name(self) -> str:
        return Path(self.program).name

    @property
    def can_run(self) -> bool:
        """Whether it runs containers; buildah only builds images."""
        return self.name != "buildah"

    def call(self, *arguments: str, within_s: float = ASK_WITHIN_S, **more: Any) -> str:
        """Run a command of the engine; return its output, raise EngineError if it fails."""
        try:
            done = subprocess.run(  # noqa: S603
                [self.program, *arguments],
                env={**os.environ, **self.environment},
                capture_output=True,
                text=True,
                timeout=within_s,
                check=False,
                **more,
            )
        except subprocess.TimeoutExpired as error:
            message = f"{self.name} {arguments[0]} took more than {within_s:.0f} s"
            raise EngineError(message) from error
        if done.returncode != 0:
            lines = f"{done.stdout}\n{done.stderr}".strip().splitlines()[-20:]
            raise EngineError("\n".join([f"{self.name} {arguments[0]} failed", *lines]))
        return done.stdout.strip()

    @property
    def answers(self) -> bool:
        """Whether there is an engine behind the command."""
        try:
            self.call("info")
        except EngineError:
            return False
        return True

    def build(self, arguments: Sequence[str], directory: Path) -> None:
        """Build an image from a directory, with the output on the terminal."""
        # podman and buildah drop the health check from an image in the format of OCI.
        form = [] if self.name == "docker" else ["--format", "docker"]
        network = ["--network", "host"] if self.is_own else []
        done = subprocess.run(  # noqa: S603
            [self.program, "build", *form, *network, *arguments, str(directory)],
            env={**os.environ, **self.environment},
            stdin=subprocess.DEVNULL,
            timeout=BUILD_WITHIN_S,
            check=False,
        )
        if done.returncode != 0:
            message = f"{self.name} build failed"
            raise EngineError(message)

    def has_image(self, image: str) -> bool:
        try:
            self.call("inspect", "--type", "image", image)
        except EngineError:
            return False
        return True

    def read_id(self, image: str) -> str:
        field = "FromImageID" if self.name == "buildah" else "Id"
        return self.call("inspect", "--type", "image", "--format", f"{{{{.{field}}}}}", image)

    def export(self, image: str, root: Path) -> None:
        """Write the files of an image to a directory that does not exist yet."""
        if self.name == "buildah":
            container = self.call("from", image)
            try:
                mount = self.call("mount", container)
                shutil.copytree(mount, root, symlinks=True)
            finally:
                self.call("rm", container)
            return
        archive, container = root.with_suffix(".tar"), self.call("create", image)
        try:
            self.call("export", "--output", str(archive), container, within_s=EXPORT_WITHIN_S)
            shutil.unpack_archive(archive, root, filter="fully_trusted")
        finally:
            self.call("rm", container)
            archive.unlink(missing_ok=True)


@contextmanager
def find_engine(wanted: str = "") -> Generator[Engine]:
    """Yield the engine of this name, or the first that works: docker, podman, our own, buildah."""
    if wanted not in {"", "docker", "podman", "buildah", "own"}:
        message = f"ENGINE={wanted}: one of docker, podman, buildah, own"
        raise PrerequisiteError(message)
    for name in ("docker", "podman"):
        if wanted in {"", name} and (program := shutil.which(name)) and Engine(program).answers:
            yield Engine(program, buildkit(program) if name == "docker" else {})
            return
    if wanted in {"", "own"} and _dockerd():
        with run_daemon() as engine:
            yield engine
        return
    if wanted in {"", "buildah"} and (program := shutil.which("buildah")):
        yield Engine(program, {"BUILDAH_ISOLATION": "chroot"})
        return
    raise PrerequisiteError(PACKAGES)


def _dockerd() -> str | None:
    return shutil.which("dockerd", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin")


def buildkit(program: str) -> dict[str, str]:
    """Return the environment in which this client builds with BuildKit.

    Without BuildKit a build makes every stage, also those that it does not need, and would ask a
    registry for the pinned base although another one was named.
    """
    client = Engine(program)
    major = int(client.call("--version").split()[2].split(".")[0])
    if major > LAST_WITH_BUILDKIT:
        try:
            client.call("buildx", "version")
        except EngineError:
            message = (
                f"{program} has no buildx: install docker-buildx-plugin, or Debian's docker.io"
            )
            raise PrerequisiteError(message) from None
    return {"DOCKER_BUILDKIT": "1"}


def _client() -> tuple[str, dict[str, str]]:
    """Find a client that builds with BuildKit; the first on the PATH may lack it."""
    reason = PrerequisiteError(PACKAGES)
    for program in filter(None, (shutil.which("docker"), shutil.which("docker", path="/usr/bin"))):
        try:
            return program, buildkit(program)
        except PrerequisiteError as error:
            reason = error
    raise reason


@contextmanager
def run_daemon() -> Generator[Engine]:
    """Run a docker daemon of our own during the block; one at a time in this checkout."""
    daemon = _dockerd()
    if os.geteuid() != 0 or daemon is None:
        message = "a docker daemon of our own needs root, and the package docker.io"
        raise PrerequisiteError(message)
    program, environment = _client()
    STATE.mkdir(parents=True, exist_ok=True)
    with (STATE / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            message = "another command of this checkout uses the container engine: wait for it"
            raise PrerequisiteError(message) from None
        # Short, because the path of a socket has at most 107 bytes.
        run = Path(tempfile.mkdtemp(prefix="ordergen-docker-"))
        engine = Engine(
            program, {**environment, "DOCKER_HOST": f"unix://{run}/socket"}, is_own=True
        )
        process = _start(daemon, run)
        try:
            _wait_for(engine, process)
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


def _wait_for(engine: Engine, process: "subprocess.Popen[bytes]") -> None:
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
