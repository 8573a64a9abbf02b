"""Tables of the outcomes of portfolios, and of their trades."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from rich.table import Table

from serve_app.cli.names import NO_NAMES, Names
from serve_app.cli.output import make_table
from serve_app.cli.tables.formats import (
    percent,
    round_to_cents,
)
from serve_app.client.models import (
    PortfolioOutcome,
)
from serve_app.client.outcome_models import OutcomeSummary, OutcomeTotals

if TYPE_CHECKING:
    from serve_app.files.report import TradeRow


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
            round_to_cents(each.market_value),
            round_to_cents(each.cash_after_rebalance),
            len(each.transactions),
            round_to_cents(each.turnover),
            round_to_cents(each.objective),
        )
        for each in found
    ]
    return make_table(f"Rebalance {rebalance_id or '(not stored)'}", columns, rows)


def tabulate_outcome_summaries(
    title: str, found: Iterable[OutcomeSummary], names: Names = NO_NAMES
) -> Table:
    """Tabulate stored outcomes of portfolios, with the drift before and the reason of a refusal."""
    columns = ("portfolio", "name", "outcome", "market value", "cash before", "cash after")
    figures = ("trades", "turnover", "cost", "drift before", "objective", "reason")
    rows = [
        (
            each.portfolio_id,
            names.portfolios.get(each.portfolio_id),
            each.status,
            round_to_cents(each.market_value),
            round_to_cents(each.cash_before_rebalance),
            round_to_cents(each.cash_after_rebalance),
            each.transactions,
            round_to_cents(each.turnover),
            round_to_cents(each.cost),
            None if each.before is None else round_to_cents(each.before.total_drift),
            round_to_cents(each.objective),
            None if each.error is None else each.error.title,
        )
        for each in found
    ]
    return make_table(title, (*columns, *figures), rows)


def tabulate_outcome_totals(found: OutcomeTotals) -> Table:
    """Tabulate the sums over the portfolios of a rebalance."""
    columns = ("portfolios", "market value", "cash before", "cash after", "objective")
    row = (
        found.portfolios,
        round_to_cents(found.market_value),
        round_to_cents(found.cash_before_rebalance),
        round_to_cents(found.cash_after_rebalance),
        round_to_cents(found.objective),
    )
    return make_table(f"Totals of rebalance {found.rebalance_id}", columns, [row])


def tabulate_outside_bands(found: Iterable[PortfolioOutcome], names: Names = NO_NAMES) -> Table:
    """Tabulate the securities that stay outside their bands."""
    columns = ("portfolio", "security", "ticker", "side", "outside", "held by")
    rows = [
        (
            each.portfolio_id,
            one.security_id,
            names.tickers.get(one.security_id),
            one.side,
            round_to_cents(one.outside),
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
            round_to_cents(each.amount),
            percent(each.weight_before),
            percent(each.target),
            percent(each.weight_after),
        )
        for each in trades
    ]
    return make_table("Trades", (*columns, *weights), rows)
