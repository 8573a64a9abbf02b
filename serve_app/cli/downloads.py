"""Files and standard output as the target of what the service streams."""

import sys
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Annotated, TypeVar

import typer

FormatT = TypeVar("FormatT", bound=StrEnum)
STDOUT = "-"

Output = Annotated[
    str, typer.Option("--output", "-o", help="a file, which is replaced; - for stdout")
]


def derive_format(output: str, default: FormatT) -> FormatT:
    """Return the format that the ending of a file names, otherwise the default."""
    ending, formats = Path(output).suffix.removeprefix("."), type(default)
    return formats(ending) if ending in set(formats) else default


def write_pieces(output: str, pieces: Iterator[bytes]) -> None:
    """Write pieces to a file, or to standard output."""
    if output == STDOUT:
        sys.stdout.buffer.writelines(pieces)
        sys.stdout.buffer.flush()
    else:
        _write_file(Path(output), pieces)


def _write_file(path: Path, pieces: Iterator[bytes]) -> None:
    # The file is renamed at the end, because a list that breaks off must not look complete.
    from serve_app.cli.output import say, show_spinner

    part = path.with_name(f"{path.name}.part")
    try:
        with show_spinner(f"writing {path}"), part.open("wb") as file:
            file.writelines(pieces)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    say(f"{path}: {path.stat().st_size:,} bytes")
