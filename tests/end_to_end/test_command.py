"""`ordergen` as a person starts it: another port, another directory, Ctrl-C."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from serve_app.settings import UPSTREAM_URLS
from storage.embedded.free_port import free_port

pytestmark = pytest.mark.cluster

ROOT = Path(__file__).parents[2]
ORDERGEN = Path(sys.executable).with_name("ordergen")
READY = "Ctrl-C stops everything"
SPAN = re.compile(r"^\{.+?^\}", re.DOTALL | re.MULTILINE)  # JSON over several lines
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
WITHIN_S = 120.0


class Command:
    """Running `ordergen`, and its output so far."""

    def __init__(self, directory: Path, *arguments: str, **environment: str) -> None:
        inherited = {name: value for name, value in os.environ.items() if name[:4] != "RAY_"}
        self.lines: list[str] = []
        self.process = subprocess.Popen(
            [ORDERGEN, *arguments],
            cwd=directory,
            env={**inherited, **environment, "COLUMNS": "200"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def prints(self, text: str) -> bool:
        """Return whether the command prints a text before it ends."""
        until = time.monotonic() + WITHIN_S
        while time.monotonic() < until:
            is_over = self.process.poll() is not None
            if any(text in line for line in self.lines):
                return True
            if is_over:
                self._reader.join()
                return any(text in line for line in self.lines)
            time.sleep(0.05)
        return False

    def wait_until_over(self) -> int:
        """Wait for the end; return the exit code."""
        code = self.process.wait(WITHIN_S)
        self._reader.join()
        return code

    def stop(self) -> None:
        self.process.send_signal(signal.SIGINT)

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as output:
            self.lines.extend(line.rstrip("\n") for line in output)


@pytest.fixture
def prices(tmp_path: Path) -> Path:
    path = tmp_path / "prices.csv"
    rows = [f"2024-01-02,TK{number:02d},{20 + number}.50,0.25\n" for number in range(40)]
    path.write_text("".join(("price_date,ticker,price,price_std\n", *rows)))
    return path


@pytest.fixture
def demo(prices: Path, tmp_path: Path) -> Iterator[Command]:
    """Start the demonstration, on a port and in a directory of its own.

    Its configuration lets Serve write the spans of those requests that a caller traces.
    """
    configuration = (ROOT / "serve_config.yaml").read_text()
    (tmp_path / "serve_config.yaml").write_text(
        f"{configuration}\ntracing_config: {{enabled: true, sampling_ratio: 0}}\n"
    )
    command = Command(
        tmp_path,
        "demo",
        "--prices",
        str(prices),
        PORT=str(free_port()),
        DATA_DIRECTORY=str(tmp_path / "one"),
    )
    yield command
    if command.process.poll() is None:
        command.stop()
    command.wait_until_over()


def test_the_demonstration_trades_keeps_others_out_and_leaves_nothing_behind(
    demo: Command, tmp_path: Path
) -> None:
    assert demo.prints(READY), "\n".join(demo.lines)
    trades = [line for line in demo.lines if " BUY " in line or " SELL " in line]
    assert trades
    assert all(" TK" in line for line in trades)
    url = next(line.split()[1] for line in demo.lines if line.startswith("service "))
    ready = httpx.get(f"{url}/health/ready", trust_env=False)
    assert ready.json()["checks"] == dict.fromkeys(
        ("database", "accounting", "pricing", "security", "order", "portfolio"), "healthy"
    )
    (upstreams,) = [line for line in demo.lines if line.startswith("upstreams ")]
    assert upstreams.endswith(f"simulated: {', '.join(ready.json()['simulated'])}")

    assert "route_to_replica ModelStore list_models" in _spans_of_serve(demo, url)

    port = url.rpartition(":")[2]
    on_its_port = Command(tmp_path, "serve", PORT=port, DATA_DIRECTORY=str(tmp_path / "two"))
    in_its_directory = Command(
        tmp_path, "serve", PORT=str(free_port()), DATA_DIRECTORY=str(tmp_path / "one")
    )
    assert (on_its_port.wait_until_over(), in_its_directory.wait_until_over()) == (2, 2)
    (line,) = on_its_port.lines
    assert line.startswith(f"ordergen: PORT is {port}: ")
    (line,) = in_its_directory.lines
    assert line.startswith(f"ordergen: the data directory {tmp_path / 'one'} is in use")
    assert httpx.get(f"{url}/health/live", trust_env=False).status_code == 200

    processes = _descendants(demo.process.pid)
    assert any("mongod" in name for name in _names(processes))
    assert any("raylet" in name for name in _names(processes))
    demo.stop()
    assert demo.wait_until_over() == 0
    assert demo.lines[-2:] == ["stopping", "stopped"]
    assert demo.lines[demo.lines.index(READY) :] == [READY, "stopping", "stopped"]
    assert _names(processes) == []
    assert not (tmp_path / "one" / "server.json").exists()


def test_real_upstreams_of_which_one_has_no_url_end_the_start_with_one_line(tmp_path: Path) -> None:
    environment = {name.upper(): "http://127.0.0.1:1" for name in UPSTREAM_URLS.values()}
    environment |= {"ORDER_SERVICE_URL": "", "DATA_DIRECTORY": str(tmp_path)}
    command = Command(tmp_path, "serve", **environment)

    assert command.wait_until_over() == 2
    (line,) = command.lines
    assert line.startswith("ordergen: ORDER_SERVICE_URL is unset: ")


@pytest.mark.parametrize(
    ("number", "program"),
    [
        (signal.SIGTERM, "mongod"),
        (signal.SIGTERM, "gcs_server"),
        (signal.SIGINT, "ServeController"),
    ],
)
def test_a_start_that_is_stopped_ends_like_a_stop_and_leaves_nothing_behind(
    tmp_path: Path, number: signal.Signals, program: str
) -> None:
    command = Command(tmp_path, "serve", PORT=str(free_port()), DATA_DIRECTORY=str(tmp_path))
    processes: list[Process] = []
    while not any(program in name for name in _names(processes)):
        assert command.process.poll() is None, command.lines
        processes = _descendants(command.process.pid)
    command.process.send_signal(number)
    assert command.wait_until_over() == 0
    assert not any(line.startswith("service ") for line in command.lines)  # that it had started
    before, last = command.lines[:-1], command.lines[-1]
    assert last == "stopped"
    steps = {"database", "cluster", "token", "upstreams", "market"}
    assert {line.split()[0] for line in before} <= steps, "\n".join(command.lines)
    assert _names(processes) == []
    assert not (tmp_path / "server.json").exists()


def _spans_of_serve(demo: Command, url: str) -> set[str]:
    """Send a request with a trace; return the names of the spans of Serve in that trace."""
    headers = {"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"}
    httpx.get(f"{url}/api/v1/models", headers=headers, trust_env=False).raise_for_status()
    logs = next(Path(line.split()[1]) for line in demo.lines if line.startswith("logs "))
    texts = [path.read_text() for path in logs.glob("spans/*_tracing.json")]
    spans = [json.loads(span) for text in texts for span in SPAN.findall(text)]
    return {span["name"] for span in spans if span["context"]["trace_id"] == f"0x{TRACE}"}


Process = tuple[int, str]
"""Process id and start time, because together they identify one process for ever."""


def _descendants(pid: int) -> list[Process]:
    children: dict[int, list[Process]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal() and (stat := _stat(int(entry.name))):
            children.setdefault(int(stat[1]), []).append((int(entry.name), stat[19]))
    descendants: list[Process] = []
    waiting = [pid]
    while waiting:
        own = children.get(waiting.pop(), [])
        descendants += own
        waiting += [child for child, _ in own]
    return descendants


def _stat(pid: int) -> list[str]:
    """Read the fields of /proc/PID/stat after the name; empty once the process is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b") ")[2].decode().split()
    except (FileNotFoundError, ProcessLookupError):
        return []


def _is_alive(pid: int, start: str) -> bool:
    stat = _stat(pid)
    return bool(stat) and stat[19] == start and stat[0] != "Z"


def _names(processes: list[Process]) -> list[str]:
    return [
        Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        for pid, start in processes
        if _is_alive(pid, start)
    ]
