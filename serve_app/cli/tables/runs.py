"""Tables of runs, and of why portfolios of a run have no plan."""

from collections.abc import Iterable

from rich.table import Table

from serve_app.cli.names import NO_NAMES, Names
from serve_app.cli.output import make_table
from serve_app.cli.tables.formats import (
    format_counts,
    format_moment,
    format_status,
    to_percent,
)
from serve_app.client.responses.outcomes import Causes
from serve_app.client.responses.runs import Run


def tabulate_causes(causes: Causes, names: Names = NO_NAMES) -> Table:
    """Tabulate why portfolios have no plan, with the band that would admit all of them."""
    columns = ("reason", "security or option", "ticker", "portfolios", "first", "low", "high")
    rows = [
        (
            cause.title,
            cause.subject,
            names.tickers.get(cause.subject or ""),
            cause.portfolios,
            cause.examples[0],
            to_percent(cause.bands[-1].low_drift) if cause.bands else None,
            to_percent(cause.bands[-1].high_drift) if cause.bands else None,
        )
        for cause in causes.causes
    ]
    more = "" if causes.is_whole else ", there are more"
    return make_table(f"{causes.examined} portfolios without a plan{more}", columns, rows)


def tabulate_runs(runs: Iterable[Run]) -> Table:
    """Tabulate runs."""
    columns = ("run", "status", "started", "done", "total", "outcomes", "per second")
    rows = [
        (
            run.run_id,
            format_status(run.status, run.error),
            format_moment(run.created_at),
            run.portfolios.done,
            run.portfolios.total,
            format_counts(run.counts),
            run.portfolios_per_second,
        )
        for run in runs
    ]
    return make_table("Runs", columns, rows)
