"""Table of runs."""

from collections.abc import Iterable

from rich.table import Table

from serve_app.cli.output import make_table
from serve_app.cli.tables.formats import (
    format_counts,
    format_moment,
    format_status,
)
from serve_app.client.run_models import Run


def tabulate_runs(found: Iterable[Run]) -> Table:
    """Tabulate runs."""
    columns = ("run", "status", "started", "done", "total", "outcomes", "per second")
    rows = [
        (
            each.run_id,
            format_status(each.status, each.error),
            format_moment(each.created_at),
            each.portfolios.done,
            each.portfolios.total,
            format_counts(each.counts),
            each.portfolios_per_second,
        )
        for each in found
    ]
    return make_table("Runs", columns, rows)
