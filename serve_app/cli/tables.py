"""Tables of the commands that query the service."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Context, Decimal
from fractions import Fraction
from typing import TYPE_CHECKING

from rich.table import Table

from serve_app.cli.names import NO_NAMES, Names
from serve_app.cli.output import Percent, make_table
from serve_app.client.models import (
    DriftSummary,
    Model,
    OrderSubmission,
    PortfolioDrift,
    PortfolioOutcome,
    PortfolioResult,
    PositionResult,
    RebalanceResult,
)
from serve_app.client.run_models import Run

if TYPE_CHECKING:
    from serve_app.files.report import TradeRow

CENT = Decimal("0.01")
WIDE = Context(prec=80)  # because 28 digits, the default, do not hold the cents of every amount


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
                _when(each.last_rebalance_date),
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
            _percent(each.target),
            _percent(each.low_drift),
            _percent(each.high_drift),
        )
        for each in one.positions
    ]
    who = f"{one.name} ({one.model_id})"
    title = f"{who}, version {one.version}, {len(one.portfolios):,} portfolios"
    return make_table(title, ("security", "ticker", "target", "below", "above"), rows)


def tabulate_outcomes(found: Sequence[PortfolioOutcome], names: Names = NO_NAMES) -> Table:
    """Tabulate the outcomes of portfolios."""
    rebalance_id = found[0].rebalance_id if found else None
    columns = (
        "portfolio",
        "name",
        "outcome",
        "market value",
        "cash after",
        "trades",
        "turnover",
        "drift",
    )
    rows = [
        (
            each.portfolio_id,
            names.portfolios.get(each.portfolio_id),
            each.status,
            _money(each.market_value),
            _money(each.cash_after_rebalance),
            len(each.transactions),
            _money(each.turnover),
            _money(each.objective),
        )
        for each in found
    ]
    return make_table(f"Rebalance {rebalance_id or '(not stored)'}", columns, rows)


def tabulate_outside_bands(found: Iterable[PortfolioOutcome], names: Names = NO_NAMES) -> Table:
    """Tabulate the securities that stay outside their bands."""
    columns = ("portfolio", "security", "ticker", "side", "outside", "held by")
    rows = [
        (
            each.portfolio_id,
            one.security_id,
            names.tickers.get(one.security_id),
            one.side,
            _money(one.outside),
            ", ".join(one.held_by),
        )
        for each in found
        for one in each.outside_band
    ]
    return make_table("Left outside their bands", columns, rows)


def tabulate_trades(one: PortfolioOutcome, names: Names = NO_NAMES) -> Table:
    """Tabulate the trades of one portfolio."""
    rows = [
        (
            each.transaction_type,
            each.security_id,
            names.tickers.get(each.security_id),
            each.quantity,
            each.trade_date,
        )
        for each in one.transactions
    ]
    columns = ("", "security", "ticker", "quantity", "day")
    return make_table(f"Trades of {one.portfolio_id}", columns, rows)


def tabulate_planned_trades(trades: "Iterable[TradeRow]") -> Table:
    """Tabulate trades of several portfolios with their weights."""
    columns = ("portfolio", "security", "side", "quantity", "price", "amount")
    weights = ("weight before", "target", "after")
    rows = [
        (
            each.portfolio,
            each.security,
            each.side,
            each.quantity,
            each.price,
            _money(each.amount),
            _percent(each.weight_before),
            _percent(each.target),
            _percent(each.weight_after),
        )
        for each in trades
    ]
    return make_table("Trades", (*columns, *weights), rows)


def tabulate_rebalances(found: Iterable[RebalanceResult]) -> Table:
    """Tabulate stored rebalances."""
    columns = ("rebalance", "model", "started", "status", "portfolios", "outcomes")
    rows = [
        (
            each.rebalance_id,
            each.model_name,
            _when(each.rebalance_date),
            each.status,
            each.number_of_portfolios,
            _counts(each.counts),
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
            _money(each.market_value),
            _money(each.cash_before_rebalance),
            _money(each.cash_after_rebalance),
            sum(position.transaction_type is not None for position in each.positions),
        )
        for each in found
    ]
    return make_table(title, columns, rows)


def tabulate_positions(
    title: str, found: Iterable[PositionResult], names: Names = NO_NAMES
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
            _amount(each.trade_quantity, each.price),
            _percent(each.target),
            _percent(each.actual),
        )
        for each in found
    ]
    return make_table(title, columns, rows)


def tabulate_drift(one: PortfolioDrift, names: Names = NO_NAMES) -> Table:
    """Tabulate the drift of one portfolio by security."""
    who = " ".join(filter(None, (one.portfolio_id, names.portfolios.get(one.portfolio_id))))
    title = f"{who} {one.status}, total drift {_money(one.total_drift):,}"
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
            _percent(each.target),
            _percent(each.actual),
            _money(each.deviation),
            each.side,
            _money(each.outside),
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
            _status(each.status, each.error),
            _money(each.market_value),
            _money(each.total_drift),
            _percent(each.total_drift_weight),
            each.out_of_band,
        )
        for each in found
    ]
    return make_table("Drift", columns, rows)


def tabulate_submission(found: OrderSubmission) -> Table:
    """Tabulate the state of a submission in one row."""
    counts = {status: count for status, count in found.counts.items() if count}
    row = (found.rebalance_id, found.status, found.number_of_transactions, _counts(counts))
    return make_table("Hand-over", ("rebalance", "status", "transactions", "orders"), [row])


def tabulate_orders(found: OrderSubmission, names: Names = NO_NAMES) -> Table:
    """Tabulate orders with the last answer of the order service."""
    columns = (
        "portfolio",
        "name",
        "",
        "security",
        "ticker",
        "quantity",
        "status",
        "there",
        "order",
        "message",
    )
    rows = [
        (
            each.portfolio_id,
            names.portfolios.get(each.portfolio_id),
            each.transaction_type,
            each.security_id,
            names.tickers.get(each.security_id),
            each.quantity,
            each.status,
            each.service_status,
            None if each.order_id is None else str(each.order_id),
            each.message,
        )
        for each in found.orders
    ]
    return make_table("Orders", columns, rows)


def tabulate_runs(found: Iterable[Run]) -> Table:
    """Tabulate runs."""
    columns = ("run", "status", "started", "done", "total", "outcomes", "per second")
    rows = [
        (
            each.run_id,
            _status(each.status, each.error),
            _when(each.created_at),
            each.portfolios.done,
            each.portfolios.total,
            _counts(each.counts),
            each.portfolios_per_second,
        )
        for each in found
    ]
    return make_table("Runs", columns, rows)


def _money(amount: Decimal | None) -> Decimal | None:
    return None if amount is None else amount.quantize(CENT, context=WIDE)


def _amount(quantity: Decimal | None, price: Decimal) -> Decimal | None:
    return None if quantity is None else _money(WIDE.multiply(quantity, price))


def _percent(weight: Decimal | Fraction | None) -> Percent | None:
    return None if weight is None else Percent(weight)


def _when(moment: datetime | None) -> str:
    return "" if moment is None else f"{moment:%Y-%m-%d %H:%M}"


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} {status}" for status, count in counts.items())


def _status(status: str, error: Mapping[str, object] | None) -> str:
    return status if error is None else f"{status}: {error['detail']}"
