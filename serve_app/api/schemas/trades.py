"""Trades of a stored rebalance as people review them: both weights, the approval, the hold."""

from collections.abc import Iterable, Iterator
from enum import StrEnum
from typing import Annotated

from pydantic import Field
from typing_extensions import TypedDict

from optimization import PortfolioOutcome
from serve_app.api.schemas.fields import DecimalText, ObjectIdentifier
from serve_app.api.schemas.position_details import PositionDetail, positions_json
from serve_app.api.schemas.proposals import HoldAnswer, hold_json
from serve_app.api.schemas.stored_fields import Identifier
from serve_app.json_text import plain
from storage.proposals.proposal import Hold, Proposal
from storage.rebalances.trade_search import TradePage
from storage.rebalances.trade_totals import TradeTotal, TradeTotals


class TradeApproval(StrEnum):
    """Whether the order of a trade may be sent: by the live proposal, and by what it holds."""

    NONE = "NONE"  # nobody has proposed it
    PROPOSED = "PROPOSED"
    APPROVED = "APPROVED"
    ORDERED = "ORDERED"
    HELD = "HELD"


class TradeDetail(PositionDetail):
    """One trade of a rebalance, with its weights before and after, and its approval."""

    portfolio_id: Identifier
    approval: TradeApproval
    hold: Annotated[HoldAnswer | None, Field(description="what keeps it from being sent")]


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


class LiveHolds:
    """The live proposal of a rebalance, if it has one, and what that holds."""

    def __init__(self, proposal: Proposal | None = None, holds: Iterable[Hold] = ()) -> None:
        self.proposal = proposal
        self._holds = {(hold.portfolio_id, hold.security_id): hold for hold in holds}

    @property
    def portfolios(self) -> frozenset[str]:
        """Portfolios that are held with all their trades."""
        return frozenset(
            portfolio_id for portfolio_id, security_id in self._holds if security_id is None
        )

    @property
    def trades(self) -> frozenset[tuple[str, str]]:
        """Single trades that are held, by portfolio and security."""
        return frozenset(
            (portfolio_id, security)
            for portfolio_id, security in self._holds
            if security is not None
        )

    @property
    def approval(self) -> TradeApproval:
        """Approval of the trades that are not held."""
        return TradeApproval(self.proposal.status) if self.proposal else TradeApproval.NONE

    def find_hold(self, portfolio_id: str, security_id: str) -> Hold | None:
        """Find the hold of a trade, or else the hold of its portfolio."""
        own = self._holds.get((portfolio_id, security_id))
        return own or self._holds.get((portfolio_id, None))


def trades_json(page: TradePage, holds: LiveHolds) -> Iterator[TradeDetail]:
    """Build trades; those of one portfolio share its positions."""
    measured: tuple[PortfolioOutcome, list[PositionDetail]] | None = None
    for outcome, place in page:
        if measured is None or measured[0] is not outcome:
            measured = outcome, positions_json(outcome)
        position = measured[1][place]
        hold = holds.find_hold(outcome.portfolio_id, position["security_id"])
        yield {
            **position,
            "portfolio_id": outcome.portfolio_id,
            "approval": TradeApproval.HELD if hold else holds.approval,
            "hold": hold_json(hold) if hold else None,
        }


def totals_json(
    rebalance_id: str, proposal: Proposal | None, totals: TradeTotals
) -> TradeTotalsAnswer:
    """Build the totals of the trades of a rebalance, with the proposal whose holds they mind."""
    return {
        "rebalance_id": rebalance_id,
        "proposal_id": proposal and proposal.proposal_id,
        "portfolios": totals.portfolios,
        "buys": _total_json(totals.buys),
        "sells": _total_json(totals.sells),
        "held": _total_json(totals.held),
    }


def _total_json(total: TradeTotal) -> TotalsOfTrades:
    return {"transactions": total.transactions, "amount": plain(total.amount)}
