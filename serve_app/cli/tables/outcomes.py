"""Tables of the outcomes of portfolios, and of their trades."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from rich.table import Table

from serve_app.cli.names import NO_NAMES, Names
from serve_app.cli.output import make_table
from serve_app.cli.tables.formats import (
    round_to_cents,
    to_percent,
)
from serve_app.client.responses.outcomes import OutcomeSummary, OutcomeTotals, PortfolioOutcome

if TYPE_CHECKING:
    from serve_app.files.report import TradeRow


def tabulate_outcomes(outcomes: Sequence[PortfolioOutcome], names: Names = NO_NAMES) -> Table:
    """Tabulate the outcomes of portfolios."""
    rebalance_id = outcomes[0].rebalance_id if outcomes else None
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
            outcome.portfolio_id,
            names.portfolios.get(outcome.portfolio_id),
            outcome.status,
            round_to_cents(outcome.market_value),
            round_to_cents(outcome.cash_after_rebalance),
            len(outcome.transactions),
            round_to_cents(outcome.turnover),
            round_to_cents(outcome.objective),
        )
        for outcome in outcomes
    ]
    return make_table(f"Rebalance {rebalance_id or '(not stored)'}", columns, rows)


def tabulate_outcome_summaries(
    title: str, outcomes: Iterable[OutcomeSummary], names: Names = NO_NAMES
) -> Table:
    """Tabulate stored outcomes of portfolios, with the drift before and the reason of a refusal."""
    columns = ("portfolio", "name", "outcome", "market value", "cash before", "cash after")
    figures = ("trades", "turnover", "cost", "drift before", "objective", "reason")
    rows = [
        (
            outcome.portfolio_id,
            names.portfolios.get(outcome.portfolio_id),
            outcome.status,
            round_to_cents(outcome.market_value),
            round_to_cents(outcome.cash_before_rebalance),
            round_to_cents(outcome.cash_after_rebalance),
            outcome.transactions,
            round_to_cents(outcome.turnover),
            round_to_cents(outcome.cost),
            None if outcome.before is None else round_to_cents(outcome.before.total_drift),
            round_to_cents(outcome.objective),
            None if outcome.error is None else outcome.error.title,
        )
        for outcome in outcomes
    ]
    return make_table(title, (*columns, *figures), rows)


def tabulate_outcome_totals(totals: OutcomeTotals) -> Table:
    """Tabulate the sums over the portfolios of a rebalance."""
    columns = ("portfolios", "market value", "cash before", "cash after", "objective")
    row = (
        totals.portfolios,
        round_to_cents(totals.market_value),
        round_to_cents(totals.cash_before_rebalance),
        round_to_cents(totals.cash_after_rebalance),
        round_to_cents(totals.objective),
    )
    return make_table(f"Totals of rebalance {totals.rebalance_id}", columns, [row])


def tabulate_outside_bands(outcomes: Iterable[PortfolioOutcome], names: Names = NO_NAMES) -> Table:
    """Tabulate the securities that stay outside their bands."""
    columns = ("portfolio", "security", "ticker", "side", "outside", "held by")
    rows = [
        (
            outcome.portfolio_id,
            outside.security_id,
            names.tickers.get(outside.security_id),
            outside.side,
            round_to_cents(outside.outside),
            ", ".join(outside.held_by),
        )
        for outcome in outcomes
        for outside in outcome.outside_band
    ]
    return make_table("Left outside their bands", columns, rows)


def tabulate_trades(outcome: PortfolioOutcome, names: Names = NO_NAMES) -> Table:
    """Tabulate the trades of one portfolio."""
    rows = [
        (
            transaction.transaction_type,
            transaction.security_id,
            names.tickers.get(transaction.security_id),
            transaction.quantity,
            transaction.trade_date,
        )
        for transaction in outcome.transactions
    ]
    columns = ("", "security", "ticker", "quantity", "day")
    return make_table(f"Trades of {outcome.portfolio_id}", columns, rows)


def tabulate_planned_trades(trades: "Iterable[TradeRow]") -> Table:
    """Tabulate trades of several portfolios with their weights."""
    columns = ("portfolio", "security", "side", "quantity", "price", "amount")
    weights = ("weight before", "target", "after")
    rows = [
        (
            trade.portfolio,
            trade.security,
            trade.side,
            trade.quantity,
            trade.price,
            round_to_cents(trade.amount),
            to_percent(trade.weight_before),
            to_percent(trade.target),
            to_percent(trade.weight_after),
        )
        for trade in trades
    ]
    return make_table("Trades", (*columns, *weights), rows)
