"""Tables of models."""

from collections.abc import Iterable

from rich.table import Table

from serve_app.cli.names import NO_NAMES, Names
from serve_app.cli.output import make_table
from serve_app.cli.tables.formats import (
    format_moment,
    percent,
)
from serve_app.client.models import (
    Model,
)


def tabulate_models(found: Iterable[Model]) -> Table:
    """Tabulate models."""
    columns = ("model", "name", "securities", "portfolios", "version", "last rebalance")
    return make_table(
        "Models",
        columns,
        [
            (
                each.model_id,
                each.name,
                len(each.positions),
                len(each.portfolios),
                each.version,
                format_moment(each.last_rebalance_date),
            )
            for each in found
        ],
    )


def tabulate_model(one: Model, names: Names = NO_NAMES) -> Table:
    """Tabulate the securities of a model."""
    rows = [
        (
            each.security_id,
            names.tickers.get(each.security_id),
            percent(each.target),
            percent(each.low_drift),
            percent(each.high_drift),
        )
        for each in one.positions
    ]
    who = f"{one.name} ({one.model_id})"
    title = f"{who}, version {one.version}, {len(one.portfolios):,} portfolios"
    return make_table(title, ("security", "ticker", "target", "below", "above"), rows)
