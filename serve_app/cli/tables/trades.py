"""Table of trades under review."""

from collections.abc import Iterable

from rich.table import Table

from serve_app.cli.names import NO_NAMES, Names
from serve_app.cli.output import make_table
from serve_app.cli.tables.formats import percent, round_to_cents
from serve_app.client.trade_models import TradeDetail, TradeTotals


def tabulate_reviewed_trades(
    found: Iterable[TradeDetail], totals: TradeTotals, names: Names = NO_NAMES
) -> Table:
    """Tabulate trades with their weights; the title has the totals of all that match."""
    weights = ("weight before", "target", "after")
    columns = ("portfolio", "name", "security", "ticker", "side", "quantity", "price", "amount")
    rows = [
        (
            each.portfolio_id,
            names.portfolios.get(each.portfolio_id),
            each.security_id,
            names.tickers.get(each.security_id),
            each.transaction_type,
            each.trade_quantity,
            each.price,
            round_to_cents(each.trade_amount),
            percent(each.original_weight),
            percent(each.target),
            percent(each.actual),
            _approval(each),
        )
        for each in found
    ]
    sides = (("BUY", totals.buys), ("SELL", totals.sells), ("held", totals.held))
    sums = ", ".join(
        f"{each.transactions:,} {name} of {round_to_cents(each.amount):,}" for name, each in sides
    )
    return make_table(f"Trades: {sums}", (*columns, *weights, "approval"), rows)


def _approval(trade: TradeDetail) -> str:
    if trade.hold is None:
        return trade.approval
    note = f": {trade.hold.note}" if trade.hold.note else ""
    return f"held by {trade.hold.principal}{note}"
