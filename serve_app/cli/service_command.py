"""Commands that call the service: their common options, and how they print the answer."""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from inspect import Parameter, Signature, signature
from typing import TYPE_CHECKING, Any, Concatenate, TypeVar

import typer

from serve_app.cli.arguments import TIMEOUT_S, URL, AsJson, Timeout, Token, Url, Wide, build_client
from serve_app.cli.exit_codes import report_errors

if TYPE_CHECKING:
    from rich.table import Table

    from serve_app.client import Client


@dataclass(frozen=True, slots=True)
class Printer:
    """Form in which a command prints its answer: JSON for programs, tables for people."""

    as_json: bool
    wide: bool

    def print(self, answer: Any, *tables: "Callable[[], Table]") -> None:
        """Print the answer as JSON or as tables.

        Tables are made only if they are printed, because they may look up names at the service.
        """
        from serve_app.cli.output import show, show_json

        if self.as_json:
            show_json(answer)
            return
        for make_table in tables:
            show(make_table(), wide=self.wide)


ServiceCommand = Callable[Concatenate["Client", Printer, ...], None]
Function = TypeVar("Function", bound=ServiceCommand)


@contextmanager
def open_service(
    url: Url = URL,
    token: Token = None,
    timeout: Timeout = TIMEOUT_S,
    wide: Wide = False,
    as_json: AsJson = False,
) -> "Generator[tuple[Client, Printer]]":
    """Connect as the common options say, and report an error of the block.

    The signature is that of the options on the command line.
    """
    with report_errors(as_json=as_json), build_client(url, timeout, token) as client:
        yield client, Printer(as_json=as_json, wide=wide)


def service_command(
    commands: typer.Typer,
    name: str | None = None,
    *,
    timeout_s: float = TIMEOUT_S,
    has_tables: bool = True,
) -> Callable[[Function], Function]:
    """Register a function as a command that calls the service.

    The function takes a client, a printer and its own arguments; on the command line the options of
    ``open_service`` follow them, without ``--wide`` unless the command ``has_tables``.
    """
    common = {**signature(open_service).parameters}
    common["timeout"] = common["timeout"].replace(default=timeout_s)
    if not has_tables:
        del common["wide"]

    def register(function: Function) -> Function:
        _, _, *own = signature(function).parameters.values()

        @wraps(function)
        def command(**arguments: Any) -> None:
            connection = {name: arguments.pop(name) for name in common}
            with open_service(**connection) as (client, printer):
                function(client, printer, **arguments)

        _set_parameters(command, [*own, *common.values()])
        commands.command(name)(command)
        return function

    return register


def _set_parameters(command: Any, parameters: list[Parameter]) -> None:
    """Set signature and annotations, because Typer reads both."""
    command.__signature__ = Signature(parameters)
    command.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
