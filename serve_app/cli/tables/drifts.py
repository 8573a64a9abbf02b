"""Tables of drift."""

from collections.abc import Iterable

from rich.table import Table

from serve_app.cli.names import NO_NAMES, Names
from serve_app.cli.output import make_table
from serve_app.cli.tables.formats import (
    format_status,
    percent,
    round_to_cents,
)
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
