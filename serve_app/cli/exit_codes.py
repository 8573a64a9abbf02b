"""Exit codes of commands, and error messages of a few lines instead of a traceback."""

from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from enum import IntEnum
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from serve_app.files.faults import FilesRefusedError


class Ending(IntEnum):
    """Exit code of a command."""

    DONE = 0
    REFUSED = 1  # by the service, or nothing was rebalanced, or a check failed
    USAGE = 2  # an argument, an option, a file or a setting is wrong
    UNREACHABLE = 3  # the service, or something that it needs, does not answer
    INTERRUPTED = 130


class CommandError(Exception):
    """Reason why a command ends without its work done, in one line, with its exit code."""

    def __init__(self, ending: Ending, detail: str) -> None:
        super().__init__(ending, detail)
        self.ending = ending
        self.detail = detail

    def __str__(self) -> str:
        return self.detail


# Problems of the command line or of a file, with which the same command cannot succeed.
USAGE_PROBLEMS = frozenset(
    f"/problems/{slug}"
    for slug in (
        "bad-id",
        "bad-request",
        "body-too-large",
        "invalid-request",
        "not-json",
        "unknown-route",
    )
)
TITLES: Mapping[Ending, str] = {
    Ending.REFUSED: "Refused",
    Ending.USAGE: "Wrong argument, file or setting",
    Ending.UNREACHABLE: "No answer",
}


@contextmanager
def report_errors(*, as_json: bool = False) -> Generator[None]:
    """Report an error of the block, and exit with its code.

    People get a few lines on stderr, programs the problem document on stdout.
    """
    try:
        yield
    except KeyboardInterrupt:
        typer.echo("stopping", err=True)
        raise typer.Exit(Ending.INTERRUPTED) from None
    except Exception as error:
        ending = _find_ending(error)
        if ending is None or (isinstance(error, typer.BadParameter) and not as_json):
            raise  # a bad parameter, too, because Typer itself adds the usage
        if as_json:
            from serve_app.cli.output import show_json

            show_json(_build_document(error, ending))
        else:
            for number, line in enumerate(_list_lines(error)):
                typer.echo(line if number else f"ordergen: {line}", err=True)
        raise typer.Exit(ending) from None


def _find_ending(error: Exception) -> Ending | None:
    import httpx

    from optimization.errors import OptimizationError
    from serve_app.client import ProblemError
    from serve_app.client.saved_login import LoginError
    from serve_app.files.faults import FilesRefusedError
    from serve_app.launch.launcher import ClusterDidNotStartError
    from serve_app.settings import SettingsError
    from storage.errors import (
        EmbeddedServerError,
        NotFoundError,
        ServerDidNotStartError,
        ServerEndedError,
        StorageUnavailableError,
    )

    if isinstance(error, CommandError):
        return error.ending
    match error:
        case ClusterDidNotStartError() | ServerDidNotStartError() | ServerEndedError():
            return Ending.UNREACHABLE
        case SettingsError() | EmbeddedServerError() | FilesRefusedError() | OSError():
            return Ending.USAGE
        case typer.BadParameter() | httpx.InvalidURL() | httpx.UnsupportedProtocol():
            return Ending.USAGE
        case ProblemError(status=503 | 504) | httpx.TransportError() | StorageUnavailableError():
            return Ending.UNREACHABLE
        case ProblemError(type=kind) if kind in USAGE_PROBLEMS:
            return Ending.USAGE
        case ProblemError() | NotFoundError() | OptimizationError() | LoginError():
            return Ending.REFUSED
        case _:
            return None


def _list_lines(error: Exception) -> list[str]:
    from serve_app.cli.output import escape_unprintable
    from serve_app.cli.problem_text import list_refusal_lines
    from serve_app.client import ProblemError
    from serve_app.files.faults import FilesRefusedError

    if isinstance(error, ProblemError):
        return list_refusal_lines(error)
    if isinstance(error, FilesRefusedError):
        return [escape_unprintable(line) for line in _list_faults(error)]
    return [escape_unprintable(_format_message(error))]


def _list_faults(error: "FilesRefusedError") -> Iterator[str]:
    count = len(error.faults) + error.omitted
    if count > 1:
        yield f"{count:,} faults in the files"
    yield from (str(fault) for fault in error.faults)
    if error.omitted:
        yield f"{error.omitted:,} more"


def _build_document(error: Exception, ending: Ending) -> Mapping[str, Any]:
    """Return the problem sent by the service, or make one of the same shape from another error."""
    from serve_app.client import ProblemError
    from serve_app.files.faults import FilesRefusedError

    if isinstance(error, ProblemError):
        return error.problem
    if isinstance(error, FilesRefusedError):
        errors = [fault.members for fault in error.faults]
        own = {"errors": errors, "omitted": error.omitted} if error.omitted else {"errors": errors}
        return {"type": "about:blank", "title": TITLES[ending], "detail": str(error), **own}
    return {"type": "about:blank", "title": TITLES[ending], "detail": _format_message(error)}


def _format_message(error: Exception) -> str:
    import httpx

    if isinstance(error, httpx.TransportError) and not isinstance(error, httpx.UnsupportedProtocol):
        return f"{error.request.url.copy_with(path='/', query=None)} does not answer: {error}"
    return str(error)
