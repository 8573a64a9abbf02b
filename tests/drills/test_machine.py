"""`ordergen serve` on a machine that is busy, full, or kills processes."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from storage.embedded.free_port import free_port
from tests.support.demonstration import (
    ROOT,
    list_descendants,
    list_listeners,
    make_environment,
    read_arguments,
    wait_for_text,
)

pytestmark = [pytest.mark.cluster, pytest.mark.apart]

BIN = Path(sys.executable).parent
AS_ROOT = [] if os.getuid() == 0 else ["sudo", "--non-interactive"]
BURNERS = 10  # on a machine of two processors a start takes minutes then
WITHIN_S = 90.0


class Command:
    """A running command, and its output so far."""

    def __init__(self, directory: Path, *command: str, **environment: str) -> None:
        self.environment = {**make_environment(directory), **environment}
        self._log = directory / "log"
        with self._log.open("wb") as output:
            self.process = subprocess.Popen(
                [BIN / command[0], *command[1:]],
                cwd=directory,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.environment['PORT']}"

    @property
    def output(self) -> str:
        return self._log.read_text()

    def until(self, text: str) -> str:
        return wait_for_text(self._log, text, self.process)


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Callable[..., Command]]:
    """Return a function that starts a command of `ordergen` in a directory with a short name."""
    services: list[Command] = []
    short = Path(subprocess.check_output(["mktemp", "-d", "/tmp/og-XXXXXX"], text=True).strip())

    def start(*command: str, **environment: str) -> Command:
        service = Command(short, *command, **environment)
        services.append(service)
        return service

    yield start
    for service in services:
        if service.process.poll() is None:
            service.process.send_signal(signal.SIGTERM)
        service.process.wait(WITHIN_S)
    subprocess.run(["rm", "-r", short], check=True)


@pytest.fixture
def busy() -> Iterator[None]:
    burners = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(BURNERS)]
    yield
    for burner in burners:
        burner.kill()
        burner.wait()


def eventually(condition: Callable[[], bool]) -> bool:
    until = time.monotonic() + WITHIN_S
    while not condition() and time.monotonic() < until:
        time.sleep(0.1)
    return condition()


def test_a_start_on_a_busy_machine_succeeds_and_a_kill_of_the_first_process_leaves_nothing(
    run: Callable[..., Command], busy: None
) -> None:
    service = run("ordergen", "serve")
    service.until("Ctrl-C stops everything")
    assert httpx.get(f"{service.url}/health/live", timeout=60).status_code == 200

    below = list_descendants(service.process.pid)
    assert len(below) > 10
    service.process.kill()
    service.process.wait()
    assert eventually(lambda: [pid for pid in below if read_arguments(pid) != [""]] == [])


def test_a_full_disk_ends_the_service_with_one_line_and_keeps_what_was_acknowledged(
    run: Callable[..., Command], tmp_path: Path
) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    options = f"size=450m,uid={os.getuid()},mode=700"
    subprocess.run([*AS_ROOT, "mount", "-t", "tmpfs", "-o", options, "tmpfs", disk], check=True)
    try:
        service = run("ordergen", "serve", DATA_DIRECTORY=str(disk / "data"))
        service.until("Ctrl-C stops everything")
        fill(disk)
        assert eventually(lambda: wrote(service) is False)
        assert service.process.wait(WITHIN_S) == 3
        *_, cause, last = [line for line in service.output.splitlines() if line]
        assert cause == "database   mongod 6.0.5 ended because its disk is full"
        assert last.startswith("ordergen: mongod 6.0.5 ended because its disk is full, for good: ")
        assert "make room there, or set DATA_DIRECTORY" in last
        assert "Traceback" not in service.output

        second = run("ordergen", "serve", DATA_DIRECTORY=str(disk / "data"))
        assert second.process.wait(WITHIN_S) == 2
        assert "MB free, the embedded database needs" in second.output
        assert len(second.output.splitlines()) == 1
    finally:
        subprocess.run([*AS_ROOT, "umount", disk], check=True)


def fill(disk: Path) -> None:
    """Fill a disk."""
    with suppress(OSError), (disk / "other").open("wb", buffering=0) as file:
        while file.write(bytes(1_000_000)):
            pass


def wrote(service: Command) -> bool | None:
    """Store a model of 1.4 MB; False once the service is gone, None while its database is."""
    if service.process.poll() is not None:
        return False
    portfolios = [f"{time.monotonic_ns():015d}{number:09d}" for number in range(50_000)]
    position = {"security_id": "A" * 24, "target": "0.5", "low_drift": "0", "high_drift": "0.1"}
    body = {"name": portfolios[0], "positions": [position], "portfolios": portfolios}
    try:
        answer = httpx.post(f"{service.url}/api/v1/models", json=body, timeout=30)
    except httpx.TransportError:
        return None
    return answer.status_code == 201 or None


def test_serve_run_listens_on_loopback_and_its_database_comes_back(
    run: Callable[..., Command], tmp_path: Path
) -> None:
    service, url = serve_run(run, tmp_path)
    assert eventually(lambda: is_ready(url)), service.output
    below = list_descendants(service.process.pid)
    port = httpx.URL(url).port
    ports = {address for _, address, number in list_listeners(below) if number == port}
    assert ports == {"127.0.0.1"}

    data = Path(service.environment["DATA_DIRECTORY"])
    (server,) = servers(data)
    os.kill(server, signal.SIGKILL)
    assert eventually(lambda: servers(data) not in ([], [server]))
    assert eventually(lambda: is_ready(url))
    stop = [BIN / "ordergen", "stop"]
    stopped = subprocess.run(
        stop, env=service.environment, capture_output=True, text=True, check=True
    )
    assert stopped.stdout == "stopped\n"
    time.sleep(2)  # in which a database that ended by itself would be there again
    assert servers(data) == []


def serve_run(run: Callable[..., Command], directory: Path) -> tuple[Command, str]:
    """Run the shipped configuration on a free port, and return the address of the service."""
    port = free_port()
    config = directory / "serve_config.yaml"
    config.write_text((ROOT / "serve_config.yaml").read_text().replace(" 8088", f" {port}"))
    return run("serve", "run", str(config)), f"http://127.0.0.1:{port}"


def test_a_head_that_is_lost_before_the_first_call_of_a_replica_leaves_it_at_work(
    run: Callable[..., Command], tmp_path: Path
) -> None:
    service, url = serve_run(run, tmp_path)
    # Answered by the ingress itself; /health/ready would call the deployments behind it.
    assert eventually(lambda: answers(f"{url}/health/live")), service.output
    (head,) = [
        pid
        for pid in list_descendants(service.process.pid)
        if "gcs_server" in Path(f"/proc/{pid}/cmdline").read_text()
    ]
    os.kill(head, signal.SIGKILL)

    for path in ("/api/v1/models", "/metrics", "/health/live"):
        assert answers(f"{url}{path}"), path


def answers(url: str) -> bool:
    with suppress(httpx.TransportError):
        return httpx.get(url, timeout=10).status_code == 200
    return False


def is_ready(url: str) -> bool:
    with suppress(httpx.TransportError):
        return httpx.get(f"{url}/health/ready", timeout=10).status_code == 200
    return False


def servers(data: Path) -> list[int]:
    return [
        int(entry.name)
        for entry in Path("/proc").iterdir()
        if entry.name.isdecimal() and f"--dbpath={data}/data" in read_arguments(int(entry.name))
    ]
