"""Tables of drift."""

from collections.abc import Iterable

from rich.table import Table

from serve_app.cli.names import NO_NAMES, Names
from serve_app.cli.output import make_table
from serve_app.cli.tables.formats import (
    format_counts,
    format_moment,
    format_status,
    percent,
    round_to_cents,
)
from serve_app.client.drift_scan_models import DriftHistogram, DriftLine, DriftScan
from serve_app.client.models import (
    DriftSummary,
    PortfolioDrift,
)


def tabulate_drift(one: PortfolioDrift, names: Names = NO_NAMES) -> Table:
    """Tabulate the drift of one portfolio by security."""
    who = " ".join(filter(None, (one.portfolio_id, names.portfolios.get(one.portfolio_id))))
    title = f"{who} {one.status}, total drift {round_to_cents(one.total_drift):,}"
    columns = (
        "security",
        "ticker",
        "quantity",
        "price",
        "target",
        "actual",
        "deviation",
        "side",
        "outside",
    )
    rows = [
        (
            each.security_id,
            names.tickers.get(each.security_id),
            each.quantity,
            each.price,
            percent(each.target),
            percent(each.actual),
            round_to_cents(each.deviation),
            each.side,
            round_to_cents(each.outside),
        )
        for each in one.drifts
    ]
    return make_table(title, columns, rows)


def tabulate_drifts(found: Iterable[DriftSummary], names: Names = NO_NAMES) -> Table:
    """Tabulate the drift of portfolios."""
    columns = (
        "portfolio",
        "name",
        "status",
        "market value",
        "total drift",
        "weight",
        "out of band",
    )
    rows = [
        (
            each.portfolio_id,
            names.portfolios.get(each.portfolio_id),
            format_status(each.status, each.error),
            round_to_cents(each.market_value),
            round_to_cents(each.total_drift),
            percent(each.total_drift_weight),
            each.out_of_band,
        )
        for each in found
    ]
    return make_table("Drift", columns, rows)


def tabulate_scans(found: Iterable[DriftScan]) -> Table:
    """Tabulate scans of the book."""
    columns = ("scan", "status", "started", "done", "total", "portfolios")
    rows = [
        (
            each.scan_id,
            format_status(each.status, each.error),
            format_moment(each.created_at),
            each.portfolios.done,
            each.portfolios.total,
            format_counts(each.counts),
        )
        for each in found
    ]
    return make_table("Scans of the book", columns, rows)


def tabulate_book(scan: DriftScan, found: Iterable[DriftLine], names: Names = NO_NAMES) -> Table:
    """Tabulate portfolios of a scan."""
    columns = (
        "portfolio",
        "name",
        "model",
        "status",
        "market value",
        "total drift",
        "farthest from target",
        "ticker",
        "by",
        "out of band",
        "cash",
    )
    rows = [_book_row(each, names) for each in found]
    counts = format_counts(scan.counts)
    return make_table(f"Book of {format_moment(scan.created_at)}, {counts}", columns, rows)


def _book_row(line: DriftLine, names: Names) -> tuple[object, ...]:
    largest = line.largest_deviation
    farthest = (None, None, None)
    if largest is not None:
        ticker = names.tickers.get(largest.security_id)
        farthest = (largest.security_id, ticker, percent(largest.deviation_weight))
    return (
        line.portfolio_id,
        names.portfolios.get(line.portfolio_id),
        line.model_id,
        format_status(line.status, line.error),
        round_to_cents(line.market_value),
        percent(line.total_drift_weight),
        *farthest,
        line.out_of_band,
        percent(line.cash_weight),
    )


def tabulate_histogram(found: DriftHistogram) -> Table:
    """Tabulate how many portfolios have how much drift, as parts of market value."""
    rows = [
        (percent(each.lower), percent(each.upper), each.portfolios, each.out_of_band)
        for each in found.bins
    ]
    marks = (("median", found.median), ("p95", found.p95), ("largest", found.largest))
    known = [f"{name} {percent(weight)}" for name, weight in marks if weight is not None]
    title = ", ".join((f"Drift of {found.portfolios:,} portfolios", *known))
    return make_table(title, ("from", "to below", "portfolios", "out of band"), rows)
