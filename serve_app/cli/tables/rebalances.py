"""Tables of stored rebalances."""

from collections.abc import Iterable

from rich.table import Table

from serve_app.cli.names import NO_NAMES, Names
from serve_app.cli.output import make_table
from serve_app.cli.tables.formats import (
    compute_amount,
    format_counts,
    format_moment,
    percent,
    round_to_cents,
)
from serve_app.client.models import (
    PortfolioResult,
    PositionResult,
    RebalanceResult,
)
from serve_app.client.position_models import PositionDetail


def tabulate_rebalances(found: Iterable[RebalanceResult]) -> Table:
    """Tabulate stored rebalances."""
    columns = ("rebalance", "model", "started", "status", "portfolios", "outcomes")
    rows = [
        (
            each.rebalance_id,
            each.model_name,
            format_moment(each.rebalance_date),
            each.status,
            each.number_of_portfolios,
            format_counts(each.counts),
        )
        for each in found
    ]
    return make_table("Rebalances", columns, rows)


def tabulate_portfolios(
    title: str, found: Iterable[PortfolioResult], names: Names = NO_NAMES
) -> Table:
    """Tabulate the portfolios of a stored rebalance."""
    columns = (
        "portfolio",
        "name",
        "outcome",
        "market value",
        "cash before",
        "cash after",
        "trades",
    )
    rows = [
        (
            each.portfolio_id,
            names.portfolios.get(each.portfolio_id),
            each.status,
            round_to_cents(each.market_value),
            round_to_cents(each.cash_before_rebalance),
            round_to_cents(each.cash_after_rebalance),
            sum(position.transaction_type is not None for position in each.positions),
        )
        for each in found
    ]
    return make_table(title, columns, rows)


def tabulate_positions(
    title: str, found: Iterable[PositionResult | PositionDetail], names: Names = NO_NAMES
) -> Table:
    """Tabulate the securities of one portfolio in a stored rebalance."""
    columns = (
        "security",
        "ticker",
        "price",
        "before",
        "after",
        "",
        "trade",
        "amount",
        "target",
        "actual",
    )
    rows = [
        (
            each.security_id,
            names.tickers.get(each.security_id),
            each.price,
            each.original_quantity,
            each.adjusted_quantity,
            each.transaction_type,
            each.trade_quantity,
            compute_amount(each.trade_quantity, each.price),
            percent(each.target),
            percent(each.actual),
        )
        for each in found
    ]
    return make_table(title, columns, rows)
