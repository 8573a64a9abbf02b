"""Supervisor: no process is left behind; real processes, with a stand-in for the service."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere there is one process")

# A service whose processes are a child, one that ignores SIGTERM, one whose parent has ended, and
# one whose name is not text.
SERVICE = """
import os, signal, subprocess, sys, time
from pathlib import Path
from serve_app.launch.supervisor import AGAIN, adopt_orphans, end_descendants, supervise

signal.signal(signal.SIGHUP, signal.SIG_DFL)  # tests that were started by nohup ignore it
notes = Path(sys.argv[1])
sleep = [sys.executable, "-c", "import time; time.sleep(600)"]
deaf_code = "import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(600)"
deaf = [sys.executable, "-c", deaf_code]
# The kernel cuts this name in the middle of its eighth letter.
name = "import ctypes; ctypes.CDLL(None).prctl(15, ('ä' * 10).encode())"
note = f"open({str(notes / 'named')!r}, 'w')"
named = [sys.executable, "-c", f"{name}; {note}; import time; time.sleep(600)"]
leave = f"import subprocess; subprocess.Popen({sleep!r}, start_new_session=True)"
left = [sys.executable, "-c", leave]

def work(attempt):
    # As Ray sets it while it starts.
    signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(number))
    adopt_orphans()
    with (notes / "attempts").open("a") as file:
        file.write(f"{attempt}\\n")
    for command in (sleep, deaf, left, named):
        subprocess.Popen(command)
    time.sleep(0.3)
    while not (notes / "named").exists():
        time.sleep(0.05)
    (notes / "child").write_text(str(os.getpid()))
    try:
        if sys.argv[2] == "again":
            return AGAIN if attempt == 1 else 7
        while True:
            time.sleep(0.1 if sys.argv[2] == "hears" else 600)
    except KeyboardInterrupt:
        if sys.argv[2] == "starts":
            raise
        if sys.argv[2] == "fails":
            return AGAIN
        if sys.argv[2] == "stuck":
            (notes / "told").touch()
            time.sleep(600)
        return 0
    finally:
        end_descendants()

code = supervise(work)
print("stopped", code, flush=True)
sys.exit(code)
"""


@pytest.fixture
def start_service(tmp_path: Path) -> Iterator[Callable[[str], subprocess.Popen[str]]]:
    """Return a function that starts the service and waits until all its processes run."""
    running: list[subprocess.Popen[str]] = []

    def start(how: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", SERVICE, str(tmp_path), how]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        running.append(process)
        assert eventually((tmp_path / "child").exists)
        return process

    yield start
    for process in running:
        process.kill()
        process.communicate()


def eventually(condition: Callable[[], bool]) -> bool:
    until = time.monotonic() + 30
    while not condition() and time.monotonic() < until:
        time.sleep(0.05)
    return condition()


def processes_of(notes: Path) -> list[int]:
    """List the processes with the directory in environment or arguments, and those below them."""
    child = (notes / "child").read_text()
    pids: list[int] = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                stat = (entry / "stat").read_bytes().rpartition(b") ")[2].decode().split()
                environment = (entry / "environ").read_bytes()
            except OSError:
                continue
            if stat[0] != "Z" and (stat[3] == child or f"NOTES={notes}".encode() in environment):
                pids.append(int(entry.name))
    return pids


@pytest.fixture(autouse=True)
def notes_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTES", str(tmp_path))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_stops_the_service_and_everything_below_it(
    start_service: Callable[[str], subprocess.Popen[str]], tmp_path: Path, number: signal.Signals
) -> None:
    process = start_service("hears")
    assert eventually(lambda: len(processes_of(tmp_path)) == 6)  # the one that leaves has left
    process.send_signal(number)
    assert process.communicate(timeout=30)[0] == "stopped 0\n"
    assert process.returncode == 0
    assert processes_of(tmp_path) == []


def test_a_service_that_has_no_handler_yet_is_stopped_like_any_other(
    start_service: Callable[[str], subprocess.Popen[str]], tmp_path: Path
) -> None:
    process = start_service("starts")
    process.send_signal(signal.SIGTERM)
    assert process.communicate(timeout=30)[0] == "stopped 0\n"
    assert processes_of(tmp_path) == []


def test_a_service_that_asks_to_be_started_again_when_it_is_stopped_is_not(
    start_service: Callable[[str], subprocess.Popen[str]], tmp_path: Path
) -> None:
    process = start_service("fails")
    process.send_signal(signal.SIGTERM)
    assert process.communicate(timeout=30)[0] == "stopped 0\n"
    assert (tmp_path / "attempts").read_text() == "1\n"


def test_a_second_signal_ends_a_service_that_does_not_stop(
    start_service: Callable[[str], subprocess.Popen[str]], tmp_path: Path
) -> None:
    process = start_service("stuck")
    process.send_signal(signal.SIGINT)
    assert eventually((tmp_path / "told").exists)
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=30)[0] == "stopped 137\n"
    assert processes_of(tmp_path) == []


def test_a_first_process_that_is_killed_takes_everything_with_it(
    start_service: Callable[[str], subprocess.Popen[str]], tmp_path: Path
) -> None:
    process = start_service("hears")
    process.kill()
    process.communicate(timeout=30)
    assert eventually(lambda: processes_of(tmp_path) == [])


def test_a_service_that_is_killed_leaves_no_process_and_an_exit_code_that_says_so(
    start_service: Callable[[str], subprocess.Popen[str]], tmp_path: Path
) -> None:
    process = start_service("hears")
    os.kill(int((tmp_path / "child").read_text()), signal.SIGKILL)
    assert process.communicate(timeout=30)[0] == "stopped 137\n"
    assert processes_of(tmp_path) == []


def test_a_service_that_asks_for_it_is_started_once_more_on_a_clean_table(
    start_service: Callable[[str], subprocess.Popen[str]], tmp_path: Path
) -> None:
    process = start_service("again")
    assert process.communicate(timeout=30)[0] == "stopped 7\n"
    assert (tmp_path / "attempts").read_text() == "1\n2\n"
    assert processes_of(tmp_path) == []
