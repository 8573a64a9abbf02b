"""install.py as `make install` runs it: its steps, and one line for each failure."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "install.py"
NOWHERE = "http://127.0.0.1:9/simple"
DNS_FAULT = """\
error: Request failed after 3 retries
  Caused by: Failed to fetch: `https://pypi.org/simple/ray/`
  Caused by: error sending request for url (https://pypi.org/simple/ray/)
  Caused by: dns error
"""


def install(directory: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, SCRIPT, "0.13.9"],
        cwd=directory,
        env={**os.environ, "PIP_INDEX_URL": NOWHERE},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def uv_that(directory: Path, says: str, code: int) -> None:
    """Write a stand-in for uv that prints a text and exits."""
    program = directory / ".tools/bin/uv"
    program.parent.mkdir(parents=True)
    (directory / "says").write_text(says)
    program.write_text(f"#!/bin/sh\ncat {directory}/says\nexit {code}\n")
    program.chmod(0o700)


def test_each_step_is_a_line_where_there_is_no_terminal(tmp_path: Path) -> None:
    uv_that(tmp_path, "Installed 200 packages\n", 0)

    result = install(tmp_path)

    assert (result.returncode, result.stdout) == (0, "")
    (line,) = result.stderr.splitlines()
    assert line.startswith("setting up: the locked dependencies")


def test_a_machine_without_network_is_told_so_in_one_line(tmp_path: Path) -> None:
    result = install(tmp_path)

    assert result.returncode == 1
    reason = result.stderr.splitlines()[-1]
    assert reason.startswith("make install: no network: ")
    assert "PIP_INDEX_URL" in reason
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    ("says", "reason"),
    [
        (DNS_FAULT, "no network"),
        ("error: failed to write: No space left on device (os error 28)\n", "the disk is full"),
        ("warning: odd\nerror: the lockfile needs another Python\n\n", "the lockfile needs"),
        ("", "without a word"),
    ],
)
def test_a_step_that_fails_is_reported_by_its_cause_and_its_log(
    tmp_path: Path, says: str, reason: str
) -> None:
    uv_that(tmp_path, says, 2)

    result = install(tmp_path)

    assert result.returncode == 1
    assert reason in result.stderr.splitlines()[-1]
    assert (tmp_path / ".tools/install.log").read_text() == says


def test_an_old_python_is_refused_in_one_line_that_names_it(tmp_path: Path) -> None:
    old = tmp_path / "python"
    old.write_text('#!/bin/sh\n[ "$1" = --version ] && echo "Python 3.9.2" && exit 0\nexit 1\n')
    old.chmod(0o700)
    command = ["make", "--no-print-directory", "-B", ".venv/.installed", f"PYTHON={old}"]

    result = subprocess.run(
        command, cwd=SCRIPT.parent, capture_output=True, text=True, timeout=60, check=False
    )

    assert result.returncode != 0
    assert result.stdout.splitlines() == [
        f"Python 3.11 or newer is needed; {old} is Python 3.9.2. Set PYTHON=..."
    ]
