"""Container engine: docker, podman or buildah, by its command."""

import fcntl
import os
import shutil
import subprocess
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).parents[1]
# What is kept between commands; not in .cache, which the build of the documentation empties.
STATE: Final = ROOT / ".containers"
ASK_WITHIN_S: Final = 20.0
BUILD_WITHIN_S: Final = 3600.0
FILES_WITHIN_S: Final = 900.0


class PrerequisiteError(Exception):
    """Something is missing on this machine; the text says what to install."""


class EngineError(Exception):
    """A command of the engine failed; the text is the end of its output."""


@contextmanager
def lock_images() -> Generator[None]:
    """Keep other commands of this checkout off its images and their files during the block."""
    STATE.mkdir(parents=True, exist_ok=True)
    with (STATE / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            message = "another command of this checkout uses its images: wait for it"
            raise PrerequisiteError(message) from None
        yield


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
        """Return whether the engine runs containers; buildah only builds images."""
        return self.name != "buildah"

    def call(self, *arguments: str, within_s: float = ASK_WITHIN_S, **more: Any) -> str:
        """Run a command of the engine; return its output, raise EngineError if it fails."""
        environment = {**os.environ, **self.environment}
        return _call([self.program, *arguments], within_s, env=environment, **more)

    @property
    def answers(self) -> bool:
        """Return whether an engine answers the command."""
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
        result = subprocess.run(  # noqa: S603
            [self.program, "build", *form, *network, *arguments, str(directory)],
            env={**os.environ, **self.environment},
            stdin=subprocess.DEVNULL,
            timeout=BUILD_WITHIN_S,
            check=False,
        )
        if result.returncode != 0:
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

    def import_files(
        self, root: Path, image: str, program: str, variables: Mapping[str, str]
    ) -> None:
        """Make an image of the files below a directory, with a command and an environment."""
        if self.name == "buildah":
            with self._mount("scratch") as (container, mount):
                _copy_files(root, mount)  # as `buildah copy` keeps no owners
                environment = [f"--env={name}={value}" for name, value in variables.items()]
                self.call("config", f"--cmd={program}", *environment, container)
                self.call("commit", "--quiet", container, image, within_s=FILES_WITHIN_S)
            return
        # One by one, because podman takes what follows the first for its value.
        changes = [f"--change=ENV {name}={value}" for name, value in variables.items()]
        changes.append(f'--change=CMD ["{program}"]')
        # By a pipe, because a file would take the room a second time.
        with subprocess.Popen(  # noqa: S603
            ["tar", "-C", str(root), "-c", "."],  # noqa: S607
            stdout=subprocess.PIPE,
        ) as archive:
            self.call("import", *changes, "-", image, within_s=FILES_WITHIN_S, stdin=archive.stdout)

    def export(self, image: str, root: Path) -> None:
        """Write the files of an image to a directory that does not exist yet."""
        if self.name == "buildah":
            with self._mount(image) as (_, mount):
                _copy_files(mount, root)
            return
        archive, container = root.with_suffix(".tar"), self.call("create", image)
        try:
            self.call("export", "--output", str(archive), container, within_s=FILES_WITHIN_S)
            shutil.unpack_archive(archive, root, filter="fully_trusted")
        finally:
            self.call("rm", container)
            archive.unlink(missing_ok=True)

    @contextmanager
    def _mount(self, image: str) -> Generator[tuple[str, str]]:
        """Yield a container of buildah with an image, and the directory of its files."""
        container = self.call("from", image)
        try:
            yield container, self.call("mount", container)
        finally:
            self.call("rm", container)


def _copy_files(source: str | Path, target: str | Path) -> None:
    """Copy what is below a directory, with owners and links."""
    _call(["cp", "--archive", f"{source}/.", str(target)], FILES_WITHIN_S)


def _call(command: Sequence[str], within_s: float, **more: Any) -> str:
    """Run a command; return its output, raise EngineError if it fails."""
    name = f"{Path(command[0]).name} {command[1]}"
    try:
        result = subprocess.run(  # noqa: S603
            command, capture_output=True, text=True, timeout=within_s, check=False, **more
        )
    except subprocess.TimeoutExpired as error:
        message = f"{name} took more than {within_s:.0f} s"
        raise EngineError(message) from error
    if result.returncode != 0:
        lines = f"{result.stdout}\n{result.stderr}".strip().splitlines()[-20:]
        raise EngineError("\n".join([f"{name} failed", *lines]))
    return result.stdout.strip()
