"""How a command ends: its exit code, and what a person did wrong in one line instead of a traceback."""

from collections.abc import Generator
from contextlib import contextmanager
from enum import IntEnum

import typer


class Ending(IntEnum):
    """The exit codes of every command."""

    DONE = 0
    REFUSED = 1  # by the service, or nothing was rebalanced, or a check failed
    USAGE = 2  # an argument, a file or a setting is wrong
    UNREACHABLE = 3  # the service, or something that it needs, does not answer
    INTERRUPTED = 130


@contextmanager
def one_line_errors() -> Generator[None]:
    """Say what went wrong on stderr, and end with the code of it."""
    try:
        yield
    except KeyboardInterrupt:
        typer.echo("stopping", err=True)
        raise typer.Exit(Ending.INTERRUPTED) from None
    except Exception as error:
        known = _ending_of(error)
        if known is None:
            raise
        typer.echo(f"ordergen: {_said(error)}", err=True)
        raise typer.Exit(known) from None


def _ending_of(error: Exception) -> Ending | None:
    import httpx

    from serve_app.client import ProblemError
    from serve_app.launch import ClusterDidNotStartError
    from serve_app.settings import SettingsError
    from storage.errors import (
        EmbeddedServerError,
        NotFoundError,
        ServerEndedError,
        StorageUnavailableError,
    )

    match error:
        case ClusterDidNotStartError() | ServerEndedError():
            return Ending.UNREACHABLE
        case SettingsError() | EmbeddedServerError() | OSError():
            return Ending.USAGE
        case httpx.InvalidURL() | httpx.UnsupportedProtocol():
            return Ending.USAGE
        case ProblemError(status=503 | 504) | httpx.TransportError() | StorageUnavailableError():
            return Ending.UNREACHABLE
        case ProblemError() | NotFoundError():
            return Ending.REFUSED
        case _:
            return None


def _said(error: Exception) -> str:
    import httpx

    if isinstance(error, httpx.TransportError) and not isinstance(error, httpx.UnsupportedProtocol):
        return f"{error.request.url.copy_with(path='/', query=None)} does not answer: {error}"
    return str(error)
