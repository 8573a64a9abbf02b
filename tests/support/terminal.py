"""`ordergen` on a terminal: a pseudo-terminal of a given width, with keys for its questions."""

import asyncio
import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

ORDERGEN = (sys.executable, "-m", "serve_app")
WITHIN_S = 60.0


@dataclass(frozen=True, slots=True)
class Screen:
    """Exit code of a command, and everything that it wrote to the terminal."""

    exit_code: int
    text: str


async def run_on_terminal(
    url: str,
    *arguments: str,
    columns: int = 80,
    keys: str = "",
    environment: Mapping[str, str] | None = None,
) -> Screen:
    """Run `ordergen` on a terminal, and type these keys."""
    own = {"ORDERGEN_URL": url, "TERM": "xterm", "NO_COLOR": "1", **(environment or {})}
    return await asyncio.to_thread(_run, arguments, columns, keys, own)


def _run(
    arguments: tuple[str, ...], columns: int, keys: str, environment: Mapping[str, str]
) -> Screen:
    person, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    inherited = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
    process = subprocess.Popen(
        [*ORDERGEN, *arguments],
        env={**inherited, **environment},
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
    )
    os.close(terminal)
    os.write(person, keys.encode())
    written = b""
    with suppress(OSError):  # which ends the reading once the command has closed the terminal
        while part := os.read(person, 65_536):
            written += part
    os.close(person)
    return Screen(process.wait(WITHIN_S), written.decode().replace("\r\n", "\n"))
