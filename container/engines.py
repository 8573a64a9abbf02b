"""Container engines of this machine: docker, podman, buildah, or a docker daemon of our own."""

import shutil
from collections.abc import Generator
from contextlib import contextmanager
from typing import Final

from container.daemon import find_daemon, run_daemon
from container.engine import Engine, EngineError, PrerequisiteError, lock_images

# BuildKit is in clients before 23; later ones call a plugin, buildx.
LAST_WITH_BUILDKIT: Final = 22
PACKAGES: Final = (
    "no container engine: install Docker or podman, or on Debian 12, as root:\n"
    "  apt-get install --no-install-recommends docker.io debootstrap"
)


@contextmanager
def find_engine(wanted: str = "") -> Generator[Engine]:
    """Yield the engine of this name, or the first that works: docker, podman, our own, buildah.

    One command of this checkout at a time. Raises PrerequisiteError.
    """
    with lock_images(), _find(wanted) as engine:
        yield engine


@contextmanager
def _find(wanted: str) -> Generator[Engine]:
    if wanted not in {"", "docker", "podman", "buildah", "own"}:
        message = f"ENGINE={wanted}: one of docker, podman, buildah, own"
        raise PrerequisiteError(message)
    for name in ("docker", "podman"):
        if wanted in {"", name} and (program := shutil.which(name)) and Engine(program).answers:
            yield Engine(program, buildkit(program) if name == "docker" else {})
            return
    if wanted in {"", "own"} and find_daemon():
        with run_daemon(*_client()) as engine:
            yield engine
        return
    if wanted in {"", "buildah"} and (program := shutil.which("buildah")):
        yield Engine(program, {"BUILDAH_ISOLATION": "chroot"})
        return
    raise PrerequisiteError(PACKAGES)


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
