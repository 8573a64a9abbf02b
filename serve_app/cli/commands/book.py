"""Commands for the drift of the whole book: measure it, list the portfolios, count them."""

import time
from enum import StrEnum
from itertools import islice
from typing import TYPE_CHECKING, Annotated

import typer

from serve_app.cli.arguments import Most, parse_decimal
from serve_app.cli.completions import complete_models
from serve_app.cli.exit_codes import CommandError, Ending
from serve_app.cli.service_command import Printer, service_command

if TYPE_CHECKING:
    from rich.table import Table

    from serve_app.client import Client
    from serve_app.client.responses.drift_scans import DriftLine, DriftScan

commands = typer.Typer(name="book", help="Drift of the whole book.", no_args_is_help=True)

LOOK_EVERY_S = 0.5
BY_DRIFT = "-total_drift_weight"
WEIGHT = "a part of market value, such as 0.05"
NO_SCAN = "the book was not measured yet; `ordergen book scan --follow` does it"

Drift = Annotated[str | None, typer.Option(metavar="WEIGHT", help="of market value, such as 0.05")]


class Band(StrEnum):
    """State of a portfolio in a scan."""

    WITHIN_BANDS = "WITHIN_BANDS"
    OUT_OF_BAND = "OUT_OF_BAND"
    FAILED = "FAILED"


Bands = Annotated[list[Band] | None, typer.Option("--status", help="may be repeated")]
Models = Annotated[
    list[str] | None,
    typer.Option("--model", help="may be repeated", autocompletion=complete_models),
]


@service_command(commands)
def scan(
    client: "Client",
    printer: Printer,
    follow: Annotated[bool, typer.Option("--follow", help="wait until the scan ends")] = False,
) -> None:
    """Begin to measure every portfolio of the book; the scan goes on by itself."""
    from serve_app.cli import tables

    drift_scan = client.begin_drift_scan()
    finished_scan = _follow(client, drift_scan) if follow else drift_scan
    printer.print(finished_scan, lambda: tables.tabulate_scans([finished_scan]))
    if finished_scan.status == "STOPPED":
        raise typer.Exit(Ending.REFUSED)


@service_command(commands)
def show(
    client: "Client",
    printer: Printer,
    status: Bands = None,
    models: Models = None,
    min_drift: Drift = None,
    max_drift: Drift = None,
    sort_by: Annotated[
        str, typer.Option("--sort-by", help="an amount, with - the greatest first")
    ] = BY_DRIFT,
    limit: Most = 20,
) -> None:
    """List portfolios of the last scan of the book, those with the most drift first."""
    least = parse_decimal("--min-drift", min_drift, WEIGHT)
    greatest = parse_decimal("--max-drift", max_drift, WEIGHT)
    finished_scan = _read_last_scan(client)
    pages = client.list_drift_lines(
        finished_scan.scan_id,
        status=[state.value for state in status or ()],
        models=models or (),
        min_drift=least,
        max_drift=greatest,
        sort_by=sort_by,
        limit=min(limit, 1000),
    )
    lines = [*islice(pages, limit)]
    printer.print(lines, lambda: _tabulate(client, finished_scan, lines))


@service_command(commands)
def histogram(
    client: "Client",
    printer: Printer,
    bins: Annotated[int, typer.Option(min=1, max=100, help="maximum number of rows")] = 20,
    status: Bands = None,
    models: Models = None,
) -> None:
    """Show how many portfolios of the last scan of the book have how much drift."""
    from serve_app.cli import tables

    drift_histogram = client.read_drift_histogram(
        _read_last_scan(client).scan_id,
        bins=bins,
        status=[state.value for state in status or ()],
        models=models or (),
    )
    printer.print(drift_histogram, lambda: tables.tabulate_histogram(drift_histogram))


def _read_last_scan(client: "Client") -> "DriftScan":
    finished_scan = next(iter(client.list_drift_scans(status=["COMPLETED"], limit=1)), None)
    if finished_scan is None:
        raise CommandError(Ending.REFUSED, NO_SCAN)
    return finished_scan


def _tabulate(client: "Client", finished_scan: "DriftScan", lines: "list[DriftLine]") -> "Table":
    from serve_app.cli import tables
    from serve_app.cli.names import look_up_names

    names = look_up_names(
        client,
        portfolio_ids=[line.portfolio_id for line in lines],
        security_ids=[
            line.largest_deviation.security_id for line in lines if line.largest_deviation
        ],
    )
    return tables.tabulate_book(finished_scan, lines, names)


def _follow(client: "Client", drift_scan: "DriftScan") -> "DriftScan":
    from serve_app.cli.output import show_spinner

    with show_spinner("measuring the book"):
        while drift_scan.status == "RUNNING":
            time.sleep(LOOK_EVERY_S)
            drift_scan = client.read_drift_scan(drift_scan.scan_id)
    return drift_scan
