"""Commands for the drift of the whole book: measure it, and list the portfolios."""

import time
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from itertools import islice
from typing import TYPE_CHECKING, Annotated

import typer

from serve_app.cli.arguments import (
    TIMEOUT_S,
    URL,
    AsJson,
    Most,
    Timeout,
    Token,
    Url,
    Wide,
    client_of,
)
from serve_app.cli.completions import complete_models
from serve_app.cli.exit_codes import CommandError, Ending, one_line_errors

if TYPE_CHECKING:
    from serve_app.client import Client
    from serve_app.client.drift_scan_models import DriftScan

commands = typer.Typer(name="book", help="Drift of the whole book.", no_args_is_help=True)

LOOK_EVERY_S = 0.5
BY_DRIFT = "-total_drift_weight"
NO_SCAN = "the book was not measured yet; `ordergen book scan --follow` does it"

Drift = Annotated[str | None, typer.Option(metavar="WEIGHT", help="of market value, such as 0.05")]


class Band(StrEnum):
    """State of a portfolio in a scan."""

    WITHIN_BANDS = "WITHIN_BANDS"
    OUT_OF_BAND = "OUT_OF_BAND"
    FAILED = "FAILED"


@commands.command()
def scan(
    follow: Annotated[bool, typer.Option("--follow", help="wait until the scan ends")] = False,
    url: Url = URL,
    token: Token = None,
    timeout: Timeout = TIMEOUT_S,
    wide: Wide = False,
    as_json: AsJson = False,
) -> None:
    """Begin to measure every portfolio of the book; the scan goes on by itself."""
    with one_line_errors(as_json=as_json), client_of(url, timeout, token) as client:
        from serve_app.cli import tables
        from serve_app.cli.output import show as shown
        from serve_app.cli.output import show_json

        begun = client.begin_drift_scan()
        if follow:
            begun = _follow(client, begun)
        show_json(begun) if as_json else shown(tables.tabulate_scans([begun]), wide=wide)
        if begun.status == "STOPPED":
            raise typer.Exit(Ending.REFUSED)


@commands.command()
def show(
    status: Annotated[list[Band] | None, typer.Option(help="may be repeated")] = None,
    models: Annotated[
        list[str] | None,
        typer.Option("--model", help="may be repeated", autocompletion=complete_models),
    ] = None,
    min_drift: Drift = None,
    max_drift: Drift = None,
    sort_by: Annotated[
        str, typer.Option("--sort-by", help="an amount, with - the greatest first")
    ] = BY_DRIFT,
    limit: Most = 20,
    url: Url = URL,
    token: Token = None,
    timeout: Timeout = TIMEOUT_S,
    wide: Wide = False,
    as_json: AsJson = False,
) -> None:
    """List portfolios of the last scan of the book, those with the most drift first."""
    with one_line_errors(as_json=as_json), client_of(url, timeout, token) as client:
        from serve_app.cli import tables
        from serve_app.cli.names import look_up_names
        from serve_app.cli.output import show as shown
        from serve_app.cli.output import show_json

        least, greatest = _weight("--min-drift", min_drift), _weight("--max-drift", max_drift)
        scanned = next(iter(client.list_drift_scans(status=["COMPLETED"], limit=1)), None)
        if scanned is None:
            raise CommandError(Ending.REFUSED, NO_SCAN)
        every = client.list_drift_lines(
            scanned.scan_id,
            status=[each.value for each in status or ()],
            models=models or (),
            min_drift=least,
            max_drift=greatest,
            sort_by=sort_by,
            limit=min(limit, 1000),
        )
        found = [*islice(every, limit)]
        if as_json:
            show_json(found)
            return
        ids = [each.largest_deviation.security_id for each in found if each.largest_deviation]
        named = [each.portfolio_id for each in found]
        names = look_up_names(client, portfolio_ids=named, security_ids=ids)
        shown(tables.tabulate_book(scanned, found, names), wide=wide)


def _follow(client: "Client", begun: "DriftScan") -> "DriftScan":
    from serve_app.cli.output import show_spinner

    with show_spinner("measuring the book"):
        while begun.status == "RUNNING":
            time.sleep(LOOK_EVERY_S)
            begun = client.read_drift_scan(begun.scan_id)
    return begun


def _weight(name: str, text: str | None) -> Decimal | None:
    if text is None:
        return None
    try:
        return Decimal(text)
    except InvalidOperation:
        raise typer.BadParameter(f"{name} is a part of market value, such as 0.05") from None
