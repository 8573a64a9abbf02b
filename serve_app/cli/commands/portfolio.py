"""Commands of portfolios: find them by name, and show how each came out last."""

from typing import TYPE_CHECKING, Annotated

import typer

from serve_app.cli.service_command import Printer, service_command

if TYPE_CHECKING:
    from rich.table import Table

    from serve_app.client import Client
    from serve_app.client.responses.outcomes import LastOutcome

commands = typer.Typer(
    name="portfolios",
    help="Find portfolios by name; show their last outcomes.",
    no_args_is_help=True,
)


@service_command(commands)
def find(
    client: "Client",
    printer: Printer,
    name: Annotated[str, typer.Argument(help="a part of the name, in any case")],
) -> None:
    """Find up to 100 portfolios by a part of their name, the newest first."""
    from serve_app.cli import tables

    portfolios = client.find_portfolios(name)
    printer.print(portfolios, lambda: tables.tabulate_found_portfolios(portfolios))


@service_command(commands)
def last(
    client: "Client",
    printer: Printer,
    portfolio_ids: Annotated[
        list[str], typer.Argument(metavar="PORTFOLIO_ID...", help="up to 100 portfolios")
    ],
) -> None:
    """Show the newest outcome of portfolios; one that was never rebalanced is left out."""
    last_outcomes = client.list_last_outcomes(portfolio_ids)
    printer.print(last_outcomes, lambda: _tabulate(client, last_outcomes))


def _tabulate(client: "Client", portfolios: "tuple[LastOutcome, ...]") -> "Table":
    from serve_app.cli import tables
    from serve_app.cli.names import look_up_names

    names = look_up_names(
        client, portfolio_ids=[portfolio.portfolio_id for portfolio in portfolios]
    )
    return tables.tabulate_last_outcomes(portfolios, names)
