"""Answers of the service about proposals to send orders."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Approval:
    """An approval by one principal; ``level`` is that of the approver, 1 to 3."""

    principal: str
    level: int
    at: datetime
    note: str | None


@dataclass(frozen=True, slots=True)
class Ending:
    """Why a proposal was REJECTED or WITHDRAWN, or is STALE."""

    principal: str | None
    at: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class Override:
    """Why plans that break rules may be approved, by a principal who does not approve them."""

    principal: str
    at: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class Proposal:
    """A proposal to send the orders of a rebalance."""

    proposal_id: str
    rebalance_id: str
    model_id: str
    model_name: str
    model_version: int
    number_of_portfolios: int
    status: str
    proposed_by: str
    proposed_at: datetime
    begun_by: str | None
    note: str | None
    required_approvals: int
    approvals: tuple[Approval, ...]
    ending: Ending | None
    override: Override | None
    number_of_holds: int
    version: int


@dataclass(frozen=True, slots=True)
class Hold:
    """A portfolio that is not sent, or one of its trades if ``security_id`` is not None."""

    portfolio_id: str
    security_id: str | None
    principal: str
    at: datetime
    note: str | None
