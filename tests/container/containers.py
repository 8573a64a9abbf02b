"""Container of the image, run as the manifests run it: read-only and without rights."""

import json
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import httpx

from container.build import image_name
from container.engine import Engine
from storage.embedded.free_port import free_port

READY_WITHIN_S: Final = 180.0
STOP_WITHIN_S: Final = 10
CONFINED: Final = ("--read-only", "--tmpfs", "/tmp:rw,nosuid,noexec,size=2g")


@dataclass(frozen=True)
class Container:
    """Running container of the service, on a port of this machine."""

    engine: Engine
    name: str
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def inspect(self) -> dict[str, Any]:
        return json.loads(self.engine.call("inspect", "--type", "container", self.name))[0]

    def run(self, *command: str) -> str:
        """Run a command in the container; raises EngineError if it fails."""
        return self.engine.call("exec", self.name, *command, within_s=60)

    def changes(self) -> list[str]:
        """List the paths of the image's file system that the container added or changed."""
        lines = self.engine.call("diff", self.name).splitlines()
        return [line.split(maxsplit=1)[1] for line in lines]

    def wait_until_ready(self) -> None:
        until = time.monotonic() + READY_WITHIN_S
        while not self.is_ready():
            if time.monotonic() > until or not self.inspect()["State"]["Running"]:
                raise TimeoutError(self.engine.call("logs", self.name))
            time.sleep(0.5)

    def is_ready(self) -> bool:
        try:
            return httpx.get(f"{self.url}/health/ready", timeout=5, trust_env=False).is_success
        except httpx.TransportError:
            return False

    def wait_for_health(self) -> str:
        """Wait until the engine has called the health check; return its verdict."""
        until = time.monotonic() + READY_WITHIN_S
        while (health := self.inspect()["State"]["Health"]["Status"]) == "starting":
            if time.monotonic() > until:
                break
            time.sleep(0.5)
        return health

    def stop(self) -> tuple[int, float]:
        """Stop the container; return its exit code and the seconds that it took."""
        begin = time.monotonic()
        self.engine.call("stop", "--time", str(STOP_WITHIN_S), self.name, within_s=60)
        return self.inspect()["State"]["ExitCode"], time.monotonic() - begin


@contextmanager
def run_container(engine: Engine, settings: dict[str, str], *options: str) -> Generator[Container]:
    """Run the image on the network of this machine until the end of the block."""
    port = free_port()
    settings = {"HOST": "127.0.0.1", "PORT": str(port), **settings}
    name = engine.call(
        "run",
        "--detach",
        *("--network", "host", "--shm-size", "1g"),
        *("--cap-drop", "ALL", "--security-opt", "no-new-privileges"),
        *options,
        *(word for item in settings.items() for word in ("--env", "=".join(item))),
        image_name(),
    )
    try:
        yield Container(engine, name, port)
    finally:
        engine.call("rm", "--force", "--volumes", name, within_s=60)
