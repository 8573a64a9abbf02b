"""Table of trades under review."""

from collections.abc import Iterable

from rich.table import Table

from serve_app.cli.names import NO_NAMES, Names
from serve_app.cli.output import make_table
from serve_app.cli.tables.formats import round_to_cents, to_percent
from serve_app.client.responses.trades import TradeDetail, TradeTotals


def tabulate_reviewed_trades(
    trades: Iterable[TradeDetail], totals: TradeTotals, names: Names = NO_NAMES
) -> Table:
    """Tabulate trades with their weights; the title has the totals of all that match."""
    weights = ("weight before", "target", "after")
    columns = ("portfolio", "name", "security", "ticker", "side", "quantity", "price", "amount")
    rows = [
        (
            trade.portfolio_id,
            names.portfolios.get(trade.portfolio_id),
            trade.security_id,
            names.tickers.get(trade.security_id),
            trade.transaction_type,
            trade.trade_quantity,
            trade.price,
            round_to_cents(trade.trade_amount),
            to_percent(trade.original_weight),
            to_percent(trade.target),
            to_percent(trade.actual),
            _format_approval(trade),
        )
        for trade in trades
    ]
    sides = (("BUY", totals.buys), ("SELL", totals.sells), ("held", totals.held))
    sums = ", ".join(
        f"{side.transactions:,} {name} of {round_to_cents(side.amount):,}" for name, side in sides
    )
    return make_table(f"Trades: {sums}", (*columns, *weights, "approval"), rows)


def _format_approval(trade: TradeDetail) -> str:
    if trade.hold is None:
        return trade.approval
    note = f": {trade.hold.note}" if trade.hold.note else ""
    return f"held by {trade.hold.principal}{note}"
