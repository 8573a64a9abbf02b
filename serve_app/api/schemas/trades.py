"""Trades of a stored rebalance as people review them: both weights, the approval, the hold."""

from collections.abc import Iterable, Iterator
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from optimization import PortfolioOutcome
from serve_app.api.schemas.position_details import PositionDetail, positions_json
from serve_app.api.schemas.proposals import HoldAnswer, hold_json
from serve_app.api.schemas.stored_fields import Identifier
from storage.proposal import Hold, Proposal
from storage.trade_search import TradePage


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


class LiveHolds:
    """The live proposal of a rebalance, if it has one, and what that holds."""

    def __init__(self, proposal: Proposal | None = None, holds: Iterable[Hold] = ()) -> None:
        self.proposal = proposal
        self._holds = {(each.portfolio_id, each.security_id): each for each in holds}

    @property
    def portfolios(self) -> frozenset[str]:
        """Portfolios that are held with all their trades."""
        return frozenset(each for each, security_id in self._holds if security_id is None)

    @property
    def trades(self) -> frozenset[tuple[str, str]]:
        """Single trades that are held, by portfolio and security."""
        return frozenset((each, security) for each, security in self._holds if security is not None)

    @property
    def approval(self) -> TradeApproval:
        """Approval of the trades that are not held."""
        return TradeApproval(self.proposal.status) if self.proposal else TradeApproval.NONE

    def of(self, portfolio_id: str, security_id: str) -> Hold | None:
        """The hold of a trade: its own before that of its portfolio."""
        own = self._holds.get((portfolio_id, security_id))
        return own or self._holds.get((portfolio_id, None))


def trades_json(page: TradePage, holds: LiveHolds) -> Iterator[TradeDetail]:
    """Build trades; those of one portfolio share its positions."""
    measured: tuple[PortfolioOutcome, list[PositionDetail]] | None = None
    for outcome, place in page:
        if measured is None or measured[0] is not outcome:
            measured = outcome, positions_json(outcome)
        position = measured[1][place]
        hold = holds.of(outcome.portfolio_id, position["security_id"])
        yield {
            **position,
            "portfolio_id": outcome.portfolio_id,
            "approval": TradeApproval.HELD if hold else holds.approval,
            "hold": hold_json(hold) if hold else None,
        }
