"""Commands of a stored rebalance: outcomes, totals, why portfolios have no plan, removal."""

from enum import StrEnum
from itertools import islice
from typing import TYPE_CHECKING, Annotated, cast

import typer

from serve_app.cli.arguments import Most, RebalanceId, Version
from serve_app.cli.problem_text import list_reasons
from serve_app.cli.service_command import Printer, service_command

if TYPE_CHECKING:
    from rich.table import Table

    from serve_app.client import Client
    from serve_app.client.responses.outcomes import Causes, OutcomeDetail, OutcomeSummary, Status

commands = typer.Typer(
    name="rebalances",
    help="Outcomes and totals of a stored rebalance, and why portfolios have no plan; delete one.",
    no_args_is_help=True,
)


class Outcome(StrEnum):
    """Outcome of a portfolio."""

    REBALANCED = "REBALANCED"
    IN_BAND = "IN_BAND"
    NO_TRADE = "NO_TRADE"
    INFEASIBLE = "INFEASIBLE"
    FAILED = "FAILED"


@service_command(commands)
def outcomes(
    client: "Client",
    printer: Printer,
    rebalance_id: RebalanceId,
    status: Annotated[list[Outcome] | None, typer.Option(help="may be repeated")] = None,
    codes: Annotated[
        list[str] | None,
        typer.Option("--code", help="without a plan for this reason, such as prices-missing"),
    ] = None,
    portfolios: Annotated[
        list[str] | None,
        typer.Option("--portfolio", metavar="PORTFOLIO_ID", help="may be repeated"),
    ] = None,
    sort_by: Annotated[
        str, typer.Option("--sort-by", help="an amount, with - the greatest first: -objective")
    ] = "",
    limit: Most = 20,
) -> None:
    """List the outcomes of a rebalance: those with these statuses, reasons and portfolios."""
    pages = client.list_outcomes(
        rebalance_id,
        status=cast("list[Status]", [state.value for state in status or ()]),
        code=codes or (),
        portfolio_id=portfolios or (),
        sort_by=sort_by,
        limit=min(limit, 1000),
    )
    page = [*islice(pages, limit)]
    printer.print(page, lambda: _tabulate(client, rebalance_id, page))


@service_command(commands)
def outcome(
    client: "Client",
    printer: Printer,
    rebalance_id: RebalanceId,
    portfolio_id: Annotated[str, typer.Argument(metavar="PORTFOLIO_ID")],
) -> None:
    """Show the outcome of one portfolio in full; --json has its proof and what binds it, too."""
    detail = client.read_outcome(rebalance_id, portfolio_id)
    printer.print(
        detail,
        lambda: _tabulate(client, rebalance_id, [detail]),
        lambda: _tabulate_positions(client, detail),
    )
    if detail.problem is not None and not printer.as_json:
        for line in list_reasons([(portfolio_id, detail.problem)]):
            typer.echo(line)


@service_command(commands)
def totals(
    client: "Client",
    printer: Printer,
    rebalance_id: RebalanceId,
) -> None:
    """Show market value, cash and objective of a rebalance, added up over its portfolios."""
    from serve_app.cli import tables

    outcome_totals = client.read_outcome_totals(rebalance_id)
    printer.print(outcome_totals, lambda: tables.tabulate_outcome_totals(outcome_totals))


@service_command(commands)
def causes(
    client: "Client",
    printer: Printer,
    rebalance_id: RebalanceId,
) -> None:
    """Show why portfolios of a rebalance have no plan, each reason once."""
    print_causes(client, printer, client.list_causes(rebalance_id))


def print_causes(client: "Client", printer: Printer, reasons: "Causes") -> None:
    """Print why portfolios of a rebalance or of a run have no plan, with tickers."""
    from serve_app.cli import tables
    from serve_app.cli.names import look_up_names

    ids = [cause.subject or "" for cause in reasons.causes if cause.kind == "security"]
    printer.print(
        reasons, lambda: tables.tabulate_causes(reasons, look_up_names(client, security_ids=ids))
    )


@service_command(commands, has_tables=False)
def delete(
    client: "Client",
    printer: Printer,
    rebalance_id: RebalanceId,
    version: Version = None,
) -> None:
    """Delete a rebalance with its outcomes, unless an order of it was sent."""
    from serve_app.cli.output import say

    known = version or client.read_rebalance_summary(rebalance_id).version
    printer.print(client.delete_rebalance(rebalance_id, known))
    say(f"rebalance {rebalance_id} is deleted")


def _tabulate(
    client: "Client", rebalance_id: str, page: "list[OutcomeSummary] | list[OutcomeDetail]"
) -> "Table":
    from serve_app.cli import tables
    from serve_app.cli.names import look_up_names

    names = look_up_names(client, portfolio_ids=[outcome.portfolio_id for outcome in page])
    return tables.tabulate_outcome_summaries(f"Rebalance {rebalance_id}", page, names)


def _tabulate_positions(client: "Client", detail: "OutcomeDetail") -> "Table":
    from serve_app.cli import tables
    from serve_app.cli.names import look_up_names

    names = look_up_names(
        client, security_ids=[position.security_id for position in detail.positions]
    )
    return tables.tabulate_positions("Positions", detail.positions, names)
