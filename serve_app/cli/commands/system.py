"""Command `system`: the state, the version and the settings of a running service."""

from typing import TYPE_CHECKING

import typer

from serve_app.cli.service_command import Printer, service_command

if TYPE_CHECKING:
    from serve_app.client import Client

commands = typer.Typer()


@service_command(commands)
def system(
    client: "Client",
    printer: Printer,
) -> None:
    """Show the state, version and settings of the service; of secrets only whether they are set."""
    from serve_app.cli import tables

    state = client.system()
    printer.print(
        state, lambda: tables.tabulate_system(state), lambda: tables.tabulate_settings(state)
    )
