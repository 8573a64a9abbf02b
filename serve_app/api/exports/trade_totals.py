"""Totals of a trade list: what a hand-over of the orders would send, and what is held back."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Annotated, Final

from pydantic import Field
from typing_extensions import TypedDict

from optimization import EXACT, PortfolioOutcome, Side
from serve_app.api.exports.transactions import lines_of
from serve_app.api.schemas.fields import DecimalText, ObjectIdentifier
from serve_app.json_text import plain
from serve_app.rules.evaluation import NO_RULES, RuleCheck
from storage.proposal import Proposal
from storage.trade_search import ALL_TRADES, TradeFilter

NO_DAY: Final = ""


class TotalsOfTrades(TypedDict):
    """Number of trades, and the sum of quantity times price."""

    transactions: int
    amount: DecimalText


class TradeTotalsAnswer(TypedDict):
    """Trades that a hand-over of the orders would send, by side, and those that are held back."""

    rebalance_id: ObjectIdentifier
    proposal_id: Annotated[
        ObjectIdentifier | None, Field(description="the proposal whose holds are held back")
    ]
    portfolios: Annotated[int, Field(description="portfolios with a trade that would be sent")]
    buys: TotalsOfTrades
    sells: TotalsOfTrades
    held: Annotated[
        TotalsOfTrades,
        Field(description="trades that are held, or that rules block where nobody proposed them"),
    ]


@dataclass(slots=True)
class _Sum:
    transactions: int = 0
    amount: Decimal = Decimal(0)

    def add(self, amount: Decimal) -> None:
        self.transactions += 1
        self.amount = EXACT.add(self.amount, amount)

    def json(self) -> TotalsOfTrades:
        return {"transactions": self.transactions, "amount": plain(self.amount)}


@dataclass(slots=True)
class TradeTotals:
    """Sums over the trades of a rebalance that match ``wanted``, exact whatever their number.

    ``check`` has the rules that hold plans back; none of a proposal, whose approval minds them.
    """

    rebalance_id: str
    proposal: Proposal | None = None
    wanted: TradeFilter = ALL_TRADES
    check: RuleCheck = NO_RULES
    portfolios: int = 0
    _sides: dict[Side, _Sum] = field(default_factory=lambda: {side: _Sum() for side in Side})
    _held: _Sum = field(default_factory=_Sum)

    def add(self, outcomes: Iterable[PortfolioOutcome]) -> None:
        """Add the trades of some portfolios."""
        for outcome in outcomes:
            is_blocked, sent = bool(self.check.list_broken(outcome).blocked_by), 0
            for line in lines_of(self.rebalance_id, (outcome,), NO_DAY, admits=self.wanted.admits):
                if is_blocked or self.wanted.holds(line.portfolio_id, line.security_id):
                    self._held.add(line.amount)
                else:
                    self._sides[line.transaction_type].add(line.amount)
                    sent += 1
            self.portfolios += sent > 0

    def json(self) -> TradeTotalsAnswer:
        """Build the answer."""
        return {
            "rebalance_id": self.rebalance_id,
            "proposal_id": self.proposal and self.proposal.proposal_id,
            "portfolios": self.portfolios,
            "buys": self._sides[Side.BUY].json(),
            "sells": self._sides[Side.SELL].json(),
            "held": self._held.json(),
        }
