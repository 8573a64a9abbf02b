"""Tables of stored rebalances."""

from collections.abc import Iterable

from rich.table import Table

from serve_app.cli.names import NO_NAMES, Names
from serve_app.cli.output import make_table
from serve_app.cli.tables.formats import (
    compute_amount,
    format_counts,
    format_moment,
    round_to_cents,
    to_percent,
)
from serve_app.client.responses.positions import PositionDetail
from serve_app.client.responses.rebalances import PortfolioResult, PositionResult, RebalanceResult


def tabulate_rebalances(rebalances: Iterable[RebalanceResult]) -> Table:
    """Tabulate stored rebalances."""
    columns = ("rebalance", "model", "started", "status", "portfolios", "outcomes")
    rows = [
        (
            rebalance.rebalance_id,
            rebalance.model_name,
            format_moment(rebalance.rebalance_date),
            rebalance.status,
            rebalance.number_of_portfolios,
            format_counts(rebalance.counts),
        )
        for rebalance in rebalances
    ]
    return make_table("Rebalances", columns, rows)


def tabulate_portfolios(
    title: str, portfolios: Iterable[PortfolioResult], names: Names = NO_NAMES
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
            portfolio.portfolio_id,
            names.portfolios.get(portfolio.portfolio_id),
            portfolio.status,
            round_to_cents(portfolio.market_value),
            round_to_cents(portfolio.cash_before_rebalance),
            round_to_cents(portfolio.cash_after_rebalance),
            sum(position.transaction_type is not None for position in portfolio.positions),
        )
        for portfolio in portfolios
    ]
    return make_table(title, columns, rows)


def tabulate_positions(
    title: str, positions: Iterable[PositionResult | PositionDetail], names: Names = NO_NAMES
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
            position.security_id,
            names.tickers.get(position.security_id),
            position.price,
            position.original_quantity,
            position.adjusted_quantity,
            position.transaction_type,
            position.trade_quantity,
            compute_amount(position.trade_quantity, position.price),
            to_percent(position.target),
            to_percent(position.actual),
        )
        for position in positions
    ]
    return make_table(title, columns, rows)
