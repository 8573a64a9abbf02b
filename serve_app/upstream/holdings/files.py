"""Files of holdings: regular files within HOLDINGS_DIRECTORY, and nothing else.

Other files are refused because opening a FIFO would wait for a writer for ever, a device has no
end, and a link may lead to any file that the service may read. They are refused by name and not
left out, because a rebalance without one of the files would sell the holdings in it.
"""

import stat
from collections.abc import Iterator
from pathlib import Path

from serve_app.upstream.errors import HoldingsFileError

IGNORED_FIRST_CHARACTERS = "._"  # first characters of hidden and unfinished files


def list_book_files(directory: Path, name: str) -> tuple[Path, ...]:
    """List the file of this name, or the files in the directory of this name, sorted.

    Raises HoldingsFileError for a file that is missing, not regular, or outside ``directory``.
    """
    root = _resolve(directory, name)
    path = _resolve(directory / name, name)
    if not path.is_relative_to(root):
        raise HoldingsFileError(name, "is outside HOLDINGS_DIRECTORY")
    if not stat.S_ISDIR(_read_mode(path, name)):
        return (_require_regular(path, name, root),)
    parts = tuple(_list_parts(path, name, root))
    if not parts:
        raise HoldingsFileError(name, "is a directory without a file")
    return parts


def fingerprint(directory: Path, name: str) -> str:
    """Make a text that changes whenever a file of ``list_book_files`` does."""
    file_stats = [path.stat() for path in list_book_files(directory, name)]
    return " ".join(f"{file_stat.st_size}-{file_stat.st_mtime_ns}" for file_stat in file_stats)


def _list_parts(path: Path, name: str, root: Path) -> Iterator[Path]:
    try:
        parts = sorted(
            part for part in path.iterdir() if part.name[0] not in IGNORED_FIRST_CHARACTERS
        )
    except OSError as error:
        raise HoldingsFileError(name, "cannot be read") from error
    for part in parts:
        part_name = f"{name}/{part.name}"
        yield _require_regular(_resolve(part, part_name), part_name, root)


def _require_regular(path: Path, name: str, root: Path) -> Path:
    if not path.is_relative_to(root):
        raise HoldingsFileError(name, "is a link that leads out of HOLDINGS_DIRECTORY")
    if not stat.S_ISREG(_read_mode(path, name)):
        raise HoldingsFileError(name, "is not a regular file")
    return path


def _read_mode(path: Path, name: str) -> int:
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
