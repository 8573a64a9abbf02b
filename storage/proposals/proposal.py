"""Proposal: the orders of a rebalance, proposed by one person and approved by others.

A proposal is a small document however many portfolios it has: each hold is a document of its own,
and everything else is sent once the proposal is approved.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final

from bson import ObjectId

from storage.mongo.connection import Document
from storage.proposals.errors import ApprovedAlreadyError, FourEyesError

MAX_APPROVER_LEVEL: Final = 3
MAX_KEPT_PORTFOLIOS: Final = 1000
"""The most portfolio ids that a proposal stores, because no key is limited to more."""


class ProposalStatus(StrEnum):
    """State of a proposal."""

    PROPOSED = "PROPOSED"
    APPROVED = "APPROVED"  # its orders may be sent
    ORDERED = "ORDERED"  # its orders are being sent, or were; final
    REJECTED = "REJECTED"  # final
    WITHDRAWN = "WITHDRAWN"  # its proposer withdrew it; final
    STALE = "STALE"  # too old, or prices or holdings have changed; final


OPEN: Final = (ProposalStatus.PROPOSED, ProposalStatus.APPROVED)
"""States in which a proposal may still be decided on."""


class DecisionKind(StrEnum):
    """Decision about a proposal, or about portfolios and trades of it."""

    APPROVE = "APPROVE"
    REJECT = "REJECT"
    HOLD = "HOLD"  # do not send
    RELEASE = "RELEASE"  # send after all, once it is approved again
    OVERRIDE = "OVERRIDE"  # approve although plans break rules


@dataclass(frozen=True, slots=True)
class Approval:
    """Approval by one principal; ``level`` is the level of the approver, 1 to 3."""

    principal: str
    level: int
    at: datetime
    note: str | None = None


@dataclass(frozen=True, slots=True)
class Ending:
    """End of a proposal without orders; ``principal`` is None if nobody ended the proposal."""

    principal: str | None
    at: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class Override:
    """Permission to approve plans that break rules, by a principal who does not approve them."""

    principal: str
    at: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class Hold:
    """A portfolio that is not sent, or one of its trades if ``security_id`` is given."""

    portfolio_id: str
    security_id: str | None
    principal: str
    at: datetime
    note: str | None = None


@dataclass(frozen=True, slots=True)
class DecisionTarget:
    """A portfolio that a decision is about, or one of its trades."""

    portfolio_id: str
    security_id: str | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """A decision by an approver of a level, about a version of a proposal.

    ``targets`` are portfolios and trades; empty for the whole proposal.
    """

    kind: DecisionKind
    principal: str
    level: int
    version: int
    note: str | None = None
    targets: tuple[DecisionTarget, ...] = ()


@dataclass(frozen=True, slots=True)
class Proposal:
    """A proposal to send the orders of a rebalance.

    ``content_version`` is the version at which anything but approvals and holds last changed: an
    approver who saw that version, or a later one, has seen what is sent.
    """

    proposal_id: str
    rebalance_id: str
    model_id: str
    model_name: str
    model_version: int
    number_of_portfolios: int
    proposed_by: str
    proposed_at: datetime
    begun_by: str | None  # principal that began the rebalance; None if unknown
    required_approvals: int
    note: str | None = None
    status: ProposalStatus = ProposalStatus.PROPOSED
    approvals: tuple[Approval, ...] = ()
    ending: Ending | None = None
    override: Override | None = None
    number_of_holds: int = 0
    version: int = 1
    content_version: int = field(default=1)
    portfolio_ids: tuple[str, ...] | None = None  # None beyond MAX_KEPT_PORTFOLIOS

    @property
    def reason(self) -> str | None:
        """The reason why the proposal ended; None while it has not."""
        return None if self.ending is None else self.ending.reason

    def is_approved(self, required: int) -> bool:
        """Whether enough principals approved; one of several must have the highest level."""
        levels = [approval.level for approval in self.approvals]
        return len(levels) >= required and (required <= 1 or max(levels) == MAX_APPROVER_LEVEL)

    def require_approver(self, principal: str) -> None:
        """Raise FourEyesError or ApprovedAlreadyError unless this principal may approve it now."""
        if principal == self.proposed_by:
            raise FourEyesError(self.proposal_id, principal, "proposed the orders")
        if principal == self.begun_by:
            raise FourEyesError(self.proposal_id, principal, "began the rebalance")
        if any(principal == approval.principal for approval in self.approvals):
            raise ApprovedAlreadyError(self.proposal_id, principal)
        if self.override is not None and principal == self.override.principal:
            raise FourEyesError(self.proposal_id, principal, "overrode its rules")


@dataclass(frozen=True, slots=True)
class ProposalFilter:
    """Proposals to list: in these states, of a rebalance, and within the limits of a caller.

    ``models`` and ``portfolios`` are the ids that the caller may see; a proposal with any other
    portfolio is left out. None is no limit.
    """

    statuses: tuple[ProposalStatus, ...] = ()
    rebalance_id: str | None = None
    models: Collection[str] | None = None
    portfolios: Collection[str] | None = None

    def build_query(self) -> Document:
        """Return the filter of the database."""
        query: Document = {}
        if self.statuses:
            query["status"] = {"$in": [status.value for status in self.statuses]}
        if self.rebalance_id is not None:
            query["rebalance_id"] = self.rebalance_id.lower()
        if self.models is not None:
            query["model_id"] = {"$in": sorted(self.models)}
        if self.portfolios is not None:
            ids = sorted(self.portfolios)
            # $in is there as well, because the index serves it and $not matches absent ids.
            query["portfolio_ids"] = {"$in": ids, "$not": {"$elemMatch": {"$nin": ids}}}
        return query


def encode_proposal(proposal: Proposal) -> Document:
    """Convert a new proposal to a document, without its absent members."""
    members: Document = {
        "_id": ObjectId(proposal.proposal_id),
        "rebalance_id": proposal.rebalance_id,
        "model_id": proposal.model_id,
        "model_name": proposal.model_name,
        "model_version": proposal.model_version,
        "number_of_portfolios": proposal.number_of_portfolios,
        "proposed_by": proposal.proposed_by,
        "proposed_at": proposal.proposed_at,
        "begun_by": proposal.begun_by,
        "required_approvals": proposal.required_approvals,
        "note": proposal.note,
        "status": proposal.status.value,
        "approvals": encode_approvals(proposal.approvals),
        "number_of_holds": proposal.number_of_holds,
        "version": proposal.version,
        "content_version": proposal.content_version,
        "portfolio_ids": None if proposal.portfolio_ids is None else [*proposal.portfolio_ids],
        "live": True,
    }
    return {name: value for name, value in members.items() if value is not None}


def encode_approvals(approvals: Sequence[Approval]) -> list[Document]:
    """Convert approvals to documents."""
    return [
        {
            "principal": approval.principal,
            "level": approval.level,
            "at": approval.at,
            "note": approval.note,
        }
        for approval in approvals
    ]


def decode_proposal(document: Document) -> Proposal:
    """Convert a document to a proposal."""
    ending, override = document.get("ending"), document.get("override")
    return Proposal(
        proposal_id=str(document["_id"]),
        rebalance_id=document["rebalance_id"],
        model_id=document["model_id"],
        model_name=document["model_name"],
        model_version=document["model_version"],
        number_of_portfolios=document["number_of_portfolios"],
        proposed_by=document["proposed_by"],
        proposed_at=document["proposed_at"],
        begun_by=document.get("begun_by"),
        required_approvals=document["required_approvals"],
        note=document.get("note"),
        status=ProposalStatus(document["status"]),
        approvals=tuple(Approval(**approval) for approval in document["approvals"]),
        ending=None if ending is None else Ending(**ending),
        override=None if override is None else Override(**override),
        number_of_holds=document["number_of_holds"],
        version=document["version"],
        content_version=document["content_version"],
        portfolio_ids=tuple(document["portfolio_ids"]) if "portfolio_ids" in document else None,
    )


def decode_hold(document: Document) -> Hold:
    """Convert a document to a hold."""
    return Hold(
        document["portfolio_id"],
        document["security_id"],
        document["principal"],
        document["at"],
        document["note"],
    )
