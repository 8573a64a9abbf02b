"""Set up .venv from uv.lock, for `make install`; imports the standard library alone.

    python install.py UV_VERSION

Each step shows its seconds on a terminal, and one line elsewhere. The output of pip and uv is in
.tools/install.log; a step that fails is reported in one line.
"""

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from itertools import cycle
from pathlib import Path

TOOLS = Path(".tools")
LOG = TOOLS / "install.log"
POLL_S = 0.1
FRAMES = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
CLEAR_LINE = "\r\x1b[K"
# Words in the output of pip and uv, and what they come from.
CAUSES = {
    (
        "Failed to establish a new connection",
        "Could not connect",
        "connect error",
        "dns error",
        "error sending request",
        "Name or service not known",
        "Network is unreachable",
        "operation timed out",
    ): "no network: the package index does not answer. Connect this machine, or name a mirror"
    " (PIP_INDEX_URL, UV_DEFAULT_INDEX)",
    ("No space left on device",): "the disk is full: 3 GB are needed",
    ("ensurepip is not available",): "this Python has no venv: install python3-venv",
}


class StepFailedError(Exception):
    """A step of the installation ended with an error; the text says why."""


def main(uv_version: str) -> int:
    """Install uv, and with it the locked dependencies; return an exit code."""
    uv = TOOLS / "bin" / "uv"
    try:
        if not uv.exists():
            run_step("the package installer", [sys.executable, "-m", "venv", str(TOOLS)])
            pip = [str(TOOLS / "bin" / "pip"), "install", "--retries", "1", f"uv=={uv_version}"]
            run_step("the package installer", pip)
        sync = [str(uv), "sync", "--frozen", "--all-extras", "--python", sys.executable]
        run_step("the locked dependencies (about a minute the first time)", sync)
    except StepFailedError as error:
        sys.stderr.write(f"make install: {error}\n")
        return 1
    return 0


def run_step(what: str, command: Sequence[str]) -> None:
    """Run a command with its output in the log; raise StepFailedError if it fails."""
    TOOLS.mkdir(exist_ok=True)
    with LOG.open("wb") as log:
        process = subprocess.Popen(  # noqa: S603
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
        )
        show_progress(process, f"setting up: {what}")
    if process.returncode != 0:
        raise StepFailedError(f"{find_cause(LOG.read_text(errors='replace'))} (log: {LOG})")


def show_progress(process: "subprocess.Popen[bytes]", text: str) -> None:
    """Wait for the end of a process, with its seconds on a terminal."""
    begin, is_terminal = time.monotonic(), sys.stderr.isatty()
    if not is_terminal:
        sys.stderr.write(f"{text}\n")
    for frame in cycle(FRAMES):
        if process.poll() is not None:
            break
        if is_terminal:
            sys.stderr.write(f"{CLEAR_LINE}{frame} {text} {time.monotonic() - begin:.0f} s")
            sys.stderr.flush()
        time.sleep(POLL_S)
    if is_terminal:
        sys.stderr.write(f"{CLEAR_LINE}{text} ({time.monotonic() - begin:.1f} s)\n")


def find_cause(output: str) -> str:
    """Say in a line why pip or uv failed, by their output."""
    for words, cause in CAUSES.items():
        if any(word.lower() in output.lower() for word in words):
            return cause
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    return lines[-1] if lines else "a program of the installation ended without a word"


if __name__ == "__main__":
    os.environ.setdefault("PIP_DISABLE_PIP_VERSION_CHECK", "1")
    sys.exit(main(sys.argv[1]))
