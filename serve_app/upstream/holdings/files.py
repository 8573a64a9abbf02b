"""Files of holdings: regular files within HOLDINGS_DIRECTORY, and nothing else.

Other files are refused because opening a FIFO would wait for a writer for ever, a device has no
end, and a link may lead to any file that the service may read. They are refused by name and not
left out, because a rebalance without one of the files would sell the holdings in it.
"""

import stat
from collections.abc import Iterator
from pathlib import Path

from serve_app.upstream.errors import HoldingsFileError

LEFT_OUT = "._"  # first characters of names that are still being written or no holdings


def book_files(directory: Path, name: str) -> tuple[Path, ...]:
    """List the file of this name, or the files in the directory of this name, sorted.

    Raises HoldingsFileError for a file that is missing, not regular, or outside ``directory``.
    """
    root = _resolve(directory, name)
    path = _resolve(directory / name, name)
    if not path.is_relative_to(root):
        raise HoldingsFileError(name, "is outside HOLDINGS_DIRECTORY")
    if not stat.S_ISDIR(_mode(path, name)):
        return (_regular(path, name, root),)
    parts = tuple(_parts(path, name, root))
    if not parts:
        raise HoldingsFileError(name, "is a directory without a file")
    return parts


def fingerprint(directory: Path, name: str) -> str:
    """Make a text that changes whenever a file of ``book_files`` does."""
    found = [path.stat() for path in book_files(directory, name)]
    return " ".join(f"{each.st_size}-{each.st_mtime_ns}" for each in found)


def _parts(path: Path, name: str, root: Path) -> Iterator[Path]:
    try:
        parts = sorted(each for each in path.iterdir() if each.name[0] not in LEFT_OUT)
    except OSError as error:
        raise HoldingsFileError(name, "cannot be read") from error
    for each in parts:
        part_name = f"{name}/{each.name}"
        yield _regular(_resolve(each, part_name), part_name, root)


def _regular(path: Path, name: str, root: Path) -> Path:
    if not path.is_relative_to(root):
        raise HoldingsFileError(name, "is a link that leads out of HOLDINGS_DIRECTORY")
    if not stat.S_ISREG(_mode(path, name)):
        raise HoldingsFileError(name, "is not a regular file")
    return path


def _mode(path: Path, name: str) -> int:
    try:
        return path.lstat().st_mode
    except (FileNotFoundError, NotADirectoryError) as error:
        raise HoldingsFileError(name, "is not in HOLDINGS_DIRECTORY") from error
    except OSError as error:
        raise HoldingsFileError(name, "cannot be read") from error


def _resolve(path: Path, name: str) -> Path:
    try:
        return path.resolve()
    except (OSError, RuntimeError, ValueError) as error:  # a loop of links, a NUL, a long name
        raise HoldingsFileError(name, "has a name that no file can have") from error
