"""Tables of drift."""

from collections.abc import Iterable

from rich.table import Table

from serve_app.cli.names import NO_NAMES, Names
from serve_app.cli.output import make_table
from serve_app.cli.tables.formats import (
    format_counts,
    format_moment,
    format_status,
    round_to_cents,
    to_percent,
)
from serve_app.client.responses.drift import DriftSummary, PortfolioDrift
from serve_app.client.responses.drift_scans import DriftHistogram, DriftLine, DriftScan


def tabulate_drift(drift: PortfolioDrift, names: Names = NO_NAMES) -> Table:
    """Tabulate the drift of one portfolio by security."""
    who = " ".join(filter(None, (drift.portfolio_id, names.portfolios.get(drift.portfolio_id))))
    title = f"{who} {drift.status}, total drift {round_to_cents(drift.total_drift):,}"
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
            position.security_id,
            names.tickers.get(position.security_id),
            position.quantity,
            position.price,
            to_percent(position.target),
            to_percent(position.actual),
            round_to_cents(position.deviation),
            position.side,
            round_to_cents(position.outside),
        )
        for position in drift.drifts
    ]
    return make_table(title, columns, rows)


def tabulate_drifts(summaries: Iterable[DriftSummary], names: Names = NO_NAMES) -> Table:
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
            summary.portfolio_id,
            names.portfolios.get(summary.portfolio_id),
            format_status(summary.status, summary.error),
            round_to_cents(summary.market_value),
            round_to_cents(summary.total_drift),
            to_percent(summary.total_drift_weight),
            summary.out_of_band,
        )
        for summary in summaries
    ]
    return make_table("Drift", columns, rows)


def tabulate_scans(scans: Iterable[DriftScan]) -> Table:
    """Tabulate scans of the book."""
    columns = ("scan", "status", "started", "done", "total", "portfolios")
    rows = [
        (
            scan.scan_id,
            format_status(scan.status, scan.error),
            format_moment(scan.created_at),
            scan.portfolios.done,
            scan.portfolios.total,
            format_counts(scan.counts),
        )
        for scan in scans
    ]
    return make_table("Scans of the book", columns, rows)


def tabulate_book(scan: DriftScan, lines: Iterable[DriftLine], names: Names = NO_NAMES) -> Table:
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
    rows = [_build_book_row(line, names) for line in lines]
    counts = format_counts(scan.counts)
    return make_table(f"Book of {format_moment(scan.created_at)}, {counts}", columns, rows)


def _build_book_row(line: DriftLine, names: Names) -> tuple[object, ...]:
    largest = line.largest_deviation
    farthest = (None, None, None)
    if largest is not None:
        ticker = names.tickers.get(largest.security_id)
        farthest = (largest.security_id, ticker, to_percent(largest.deviation_weight))
    return (
        line.portfolio_id,
        names.portfolios.get(line.portfolio_id),
        line.model_id,
        format_status(line.status, line.error),
        round_to_cents(line.market_value),
        to_percent(line.total_drift_weight),
        *farthest,
        line.out_of_band,
        to_percent(line.cash_weight),
    )


def tabulate_histogram(histogram: DriftHistogram) -> Table:
    """Tabulate how many portfolios have how much drift, as parts of market value."""
    rows = [
        (to_percent(bar.lower), to_percent(bar.upper), bar.portfolios, bar.out_of_band)
        for bar in histogram.bins
    ]
    marks = (("median", histogram.median), ("p95", histogram.p95), ("largest", histogram.largest))
    known = [f"{name} {to_percent(weight)}" for name, weight in marks if weight is not None]
    title = ", ".join((f"Drift of {histogram.portfolios:,} portfolios", *known))
    return make_table(title, ("from", "to below", "portfolios", "out of band"), rows)
