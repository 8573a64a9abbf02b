"""Commands that rebalance, and query a running service about rebalances and drift."""

from collections.abc import Sequence
from enum import StrEnum
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any

import typer

from serve_app.cli.arguments import (
    TIMEOUT_S,
    URL,
    ModelId,
    Most,
    OptionsText,
    PortfolioId,
    RebalanceId,
    Timeout,
    Token,
    Url,
    build_client,
    parse_options,
    require_one,
)
from serve_app.cli.completions import complete_rebalances
from serve_app.cli.downloads import STDOUT, Output, derive_format, write_pieces
from serve_app.cli.exit_codes import Ending, report_errors
from serve_app.cli.service_command import Printer, service_command

if TYPE_CHECKING:
    from rich.table import Table

    from serve_app.client import Client, PortfolioOutcome
    from serve_app.client.responses.rebalances import PortfolioResult

commands = typer.Typer()

WITH_PLAN = frozenset({"REBALANCED", "IN_BAND", "NO_TRADE"})
MAX_REBALANCES_PER_PAGE = 100


class TradeListFormat(StrEnum):
    """File format of a trade list."""

    CSV = "csv"
    XLSX = "xlsx"
    JSONL = "jsonl"
    PARQUET = "parquet"
    ARROWS = "arrows"  # an Arrow IPC stream


@service_command(commands)
def rebalance(
    client: "Client",
    printer: Printer,
    model_id: ModelId = None,
    portfolio_id: PortfolioId = None,
    options: OptionsText = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="store nothing")] = False,
) -> None:
    """Rebalance the portfolios of a model, or one portfolio (to --model, if both are given)."""
    require_one(model_id, portfolio_id)
    from serve_app.cli.output import show_spinner

    own = parse_options(options)
    with show_spinner("rebalancing"):
        if portfolio_id is not None:
            merged: Any = own
            if model_id is not None:
                merged = {**(own or {}), "model_id": model_id}
            outcome = client.rebalance_portfolio(portfolio_id, merged, dry_run=dry_run)
            outcomes: Sequence[PortfolioOutcome] = (outcome,)
        else:
            outcomes = client.rebalance_model(str(model_id), own, dry_run=dry_run)
    show_outcomes(outcomes, as_json=printer.as_json, wide=printer.wide, client=client)


@service_command(commands)
def show(
    client: "Client",
    printer: Printer,
    rebalance_id: Annotated[
        str | None,
        typer.Argument(help="show its portfolios", autocompletion=complete_rebalances),
    ] = None,
    portfolio_id: PortfolioId = None,
    limit: Most = 20,
) -> None:
    """List the stored rebalances, or those of a portfolio; show one, or a portfolio in it."""
    if rebalance_id is None:
        _show_rebalances(client, printer, portfolio_id, limit)
    elif portfolio_id is not None:
        _show_positions(client, printer, rebalance_id, portfolio_id)
    else:
        _show_portfolios(client, printer, rebalance_id, limit)


def _show_rebalances(
    client: "Client", printer: Printer, portfolio_id: str | None, limit: int
) -> None:
    from serve_app.cli import tables

    size = min(limit, MAX_REBALANCES_PER_PAGE)
    if portfolio_id is None:
        pages = client.list_rebalances(limit=size)
    else:
        pages = client.list_rebalances_of_portfolios([portfolio_id], limit=size)
    rebalances = [*islice(pages, limit)]
    printer.print(rebalances, lambda: tables.tabulate_rebalances(rebalances))


def _show_positions(
    client: "Client", printer: Printer, rebalance_id: str, portfolio_id: str
) -> None:
    from serve_app.cli import tables
    from serve_app.cli.names import look_up_names

    lines = client.list_positions(rebalance_id, portfolio_id)
    title = f"{portfolio_id} in {rebalance_id}"
    ids = [line.security_id for line in lines]
    printer.print(
        lines,
        lambda: tables.tabulate_positions(title, lines, look_up_names(client, security_ids=ids)),
    )


def _show_portfolios(client: "Client", printer: Printer, rebalance_id: str, limit: int) -> None:
    from serve_app.cli import tables
    from serve_app.cli.names import look_up_names

    pages = client.list_portfolios(rebalance_id, limit=min(limit, MAX_REBALANCES_PER_PAGE))
    lines = [*islice(pages, limit)]
    title = f"Rebalance {rebalance_id}"
    ids = [line.portfolio_id for line in lines]
    printer.print(
        lines,
        lambda: tables.tabulate_portfolios(title, lines, look_up_names(client, portfolio_ids=ids)),
    )
    if not printer.as_json:
        _say_reasons(lines)


@service_command(commands)
def drift(
    client: "Client",
    printer: Printer,
    model_id: ModelId = None,
    portfolio_id: PortfolioId = None,
    limit: Most = 1000,
) -> None:
    """Show which portfolios of a model are out of band, or the securities of one portfolio."""
    require_one(model_id, portfolio_id)
    if portfolio_id is not None:
        _show_drift(client, printer, portfolio_id, model_id)
    else:
        _show_drifts(client, printer, str(model_id), limit)


@commands.command()
def export(
    rebalance_id: RebalanceId,
    output: Output = STDOUT,
    kind: Annotated[TradeListFormat | None, typer.Option("--format", help="csv by default")] = None,
    portfolio_id: Annotated[
        list[str] | None, typer.Option("--portfolio", help="this portfolio alone; may be repeated")
    ] = None,
    url: Url = URL,
    token: Token = None,
    timeout: Timeout = TIMEOUT_S,
) -> None:
    """Write the trade list of a stored rebalance; the ending of the file may say how."""
    with report_errors(), build_client(url, timeout, token) as client:
        form = kind or derive_format(output, TradeListFormat.CSV)
        pieces = client.export_transactions(rebalance_id, form.value, portfolio_id or ())
        write_pieces(output, pieces)


def _show_drift(
    client: "Client", printer: Printer, portfolio_id: str, model_id: str | None
) -> None:
    from serve_app.cli import tables
    from serve_app.cli.names import look_up_names
    from serve_app.cli.output import show_spinner

    with show_spinner("measuring"):
        measurement = client.measure_portfolio(portfolio_id, model_id=model_id)

    def tabulate() -> "Table":
        ids = [drift.security_id for drift in measurement.drifts]
        names = look_up_names(client, portfolio_ids=[portfolio_id], security_ids=ids)
        return tables.tabulate_drift(measurement, names)

    printer.print(measurement, tabulate)


def _show_drifts(client: "Client", printer: Printer, model_id: str, limit: int) -> None:
    from serve_app.cli import tables
    from serve_app.cli.names import look_up_names
    from serve_app.cli.output import show_spinner

    with show_spinner("measuring"):
        every = client.measure_portfolios(model_id, limit=min(limit, 1000))
        lines = [*islice(every, limit)]
    ids = [line.portfolio_id for line in lines]
    printer.print(
        lines, lambda: tables.tabulate_drifts(lines, look_up_names(client, portfolio_ids=ids))
    )


def show_outcomes(
    outcomes: "Sequence[PortfolioOutcome]",
    *,
    as_json: bool,
    wide: bool = False,
    client: "Client | None" = None,
    trades: "Table | None" = None,
) -> None:
    """Print outcomes; with a client, names beside the ids. ``trades`` is a table of all trades.

    Exits with REFUSED if no portfolio has a plan.
    """
    from serve_app.cli.output import show_json

    if as_json:
        show_json(outcomes)
    else:
        _show_outcome_tables(outcomes, wide=wide, client=client, all_trades=trades)
        _say_reasons(outcomes)
    if not any(outcome.status in WITH_PLAN for outcome in outcomes):
        raise typer.Exit(Ending.REFUSED)


def _show_outcome_tables(
    outcomes: "Sequence[PortfolioOutcome]",
    *,
    wide: bool,
    client: "Client | None",
    all_trades: "Table | None",
) -> None:
    from serve_app.cli import tables
    from serve_app.cli.names import NO_NAMES, look_up_names
    from serve_app.cli.output import show as shown

    trades = outcomes[0].transactions if len(outcomes) == 1 and all_trades is None else ()
    outside = [edge for outcome in outcomes for edge in outcome.outside_band]
    names = NO_NAMES
    if client is not None:
        names = look_up_names(
            client,
            portfolio_ids=[outcome.portfolio_id for outcome in outcomes],
            security_ids=[line.security_id for line in (*trades, *outside)],
        )
    shown(tables.tabulate_outcomes(outcomes, names), wide=wide)
    if all_trades is not None:
        shown(all_trades, wide=wide)
    if trades:
        shown(tables.tabulate_trades(outcomes[0], names), wide=wide)
    if outside:
        shown(tables.tabulate_outside_bands(outcomes, names), wide=wide)


def _say_reasons(outcomes: "Sequence[PortfolioOutcome | PortfolioResult]") -> None:
    from serve_app.cli.problem_text import list_reasons

    for line in list_reasons(
        (outcome.portfolio_id, outcome.error) for outcome in outcomes if outcome.error
    ):
        typer.echo(line)
