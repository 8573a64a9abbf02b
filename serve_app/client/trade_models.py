"""Trades of a rebalance under review."""

from dataclasses import dataclass
from typing import Literal

from serve_app.client.position_models import PositionDetail
from serve_app.client.proposal_models import Hold

Approval = Literal["NONE", "PROPOSED", "APPROVED", "ORDERED", "HELD"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TradeDetail(PositionDetail):
    """One trade with its weights before and after, and whether its order may be sent."""

    portfolio_id: str
    approval: Approval
    hold: Hold | None
