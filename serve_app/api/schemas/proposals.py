"""Proposals to send orders, and the decisions about them."""

from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field, StrictBool
from typing_extensions import TypedDict

from optimization.errors import RuleError
from serve_app.api.schemas.fields import (
    PORTFOLIO,
    SECURITY,
    InstantText,
    ObjectIdentifier,
)
from serve_app.api.schemas.general_fields import HIDDEN
from serve_app.api.schemas.models import Version
from serve_app.api.schemas.stored_fields import Identifier
from serve_app.auth.principals import Principal
from serve_app.json_text import Json
from storage.instants import format_instant
from storage.proposals.proposal import (
    Approval,
    Decision,
    DecisionKind,
    DecisionTarget,
    Ending,
    Hold,
    Override,
    Proposal,
    ProposalStatus,
)

MAX_TARGETS: Final = 1000  # of a decision
MAX_NOTE_LENGTH: Final = 500
WHOLE_PROPOSAL: Final = "a proposal is decided on whole: HOLD what is not to be sent"
OF_ALL: Final = (DecisionKind.APPROVE, DecisionKind.REJECT, DecisionKind.OVERRIDE)
WITH_REASON: Final = (DecisionKind.REJECT, DecisionKind.OVERRIDE)
NOTHING_CHOSEN: Final = "name portfolios or transactions"
CONFLICTING: Final = "give either all or portfolios and transactions"

Note = Annotated[str, Field(pattern=rf"^[^{HIDDEN}]{{1,{MAX_NOTE_LENGTH}}}$")]
WITHDRAWAL: Final[Json] = {"note": "prices were delayed", "version": 1}
VERSION_TEXT: Final = "version of the proposal that was read"


class ProposalPost(BaseModel):
    """A proposal to send the orders of a rebalance."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"note": "quarter end"}]}
    )

    note: Note | None = None


class TradeBody(BaseModel):
    """One transaction of the rebalance."""

    model_config = ConfigDict(extra="forbid")

    portfolio_id: Annotated[str, Field(min_length=1, max_length=64, examples=[PORTFOLIO])]
    security_id: Annotated[str, Field(min_length=1, max_length=64, examples=[SECURITY])]


class DecisionBody(BaseModel):
    """A decision: APPROVE, REJECT and OVERRIDE are about all, HOLD and RELEASE about parts.

    REJECT and OVERRIDE need a note. RELEASE of parts, or of all holds, takes back the approvals.
    """

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"decision": "APPROVE", "all": True, "version": 1}]},
    )

    decision: DecisionKind
    all: StrictBool = Field(False, description="the whole proposal")
    portfolios: list[Annotated[str, Field(min_length=1, max_length=64)]] = Field(
        [], max_length=MAX_TARGETS, description="portfolios with all their trades"
    )
    transactions: list[TradeBody] = Field([], max_length=MAX_TARGETS)
    note: Note | None = Field(None, description="the reason, shown beside what is not sent")
    version: Annotated[Version, Field(description=VERSION_TEXT)]


class WithdrawalBody(BaseModel):
    """The version that the proposer withdraws, and why."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [WITHDRAWAL]})

    note: Note | None = None
    version: Annotated[Version, Field(description=VERSION_TEXT)]


class ApprovalAnswer(TypedDict):
    """An approval; ``level`` is that of the approver, 1 to 3."""

    principal: str
    level: int
    at: InstantText
    note: str | None


class EndingAnswer(TypedDict):
    """Why a proposal was REJECTED or WITHDRAWN, or is STALE."""

    principal: Annotated[str | None, Field(description="who ended it, or found it stale")]
    at: InstantText
    reason: str


class OverrideAnswer(TypedDict):
    """Why plans that break rules may be approved."""

    principal: str
    at: InstantText
    reason: str


class ProposalAnswer(TypedDict):
    """A proposal to send the orders of a rebalance.

    PROPOSED until ``required_approvals`` principals have approved it, then APPROVED, and ORDERED
    once its orders are sent. REJECTED, WITHDRAWN and STALE proposals have an ``ending``.
    """

    proposal_id: ObjectIdentifier
    rebalance_id: ObjectIdentifier
    model_id: ObjectIdentifier
    model_name: str
    model_version: int
    number_of_portfolios: int
    status: ProposalStatus
    proposed_by: str
    proposed_at: InstantText
    begun_by: Annotated[str | None, Field(description="who began the rebalance, if known")]
    note: str | None
    required_approvals: int
    approvals: list[ApprovalAnswer]
    ending: EndingAnswer | None
    override: Annotated[OverrideAnswer | None, Field(description="of broken rules, if any")]
    number_of_holds: Annotated[int, Field(description="portfolios and trades that are not sent")]
    version: int


class HoldAnswer(TypedDict):
    """A portfolio that is not sent, or one of its trades if ``security_id`` is not null."""

    portfolio_id: Identifier
    security_id: Annotated[Identifier | None, Field(description="null for the whole portfolio")]
    principal: str
    at: InstantText
    note: str | None


def build_decision(body: DecisionBody, caller: Principal) -> Decision:
    """Convert a body to the decision of a caller with a name; RuleError if it does not add up."""
    name = caller.require_name()
    targets = (
        *(DecisionTarget(portfolio_id) for portfolio_id in dict.fromkeys(body.portfolios)),
        *dict.fromkeys(
            DecisionTarget(transaction.portfolio_id, transaction.security_id)
            for transaction in body.transactions
        ),
    )
    if body.all and targets:
        raise RuleError(("all",), body.all, CONFLICTING)
    is_about_whole = body.decision in OF_ALL
    if is_about_whole and not body.all:
        raise RuleError(("all",), body.all, WHOLE_PROPOSAL)
    if not targets and (body.decision is DecisionKind.HOLD or not body.all):
        raise RuleError(("portfolios",), [], NOTHING_CHOSEN)
    if body.decision in WITH_REASON and body.note is None:
        raise RuleError(("note",), None, f"{body.decision} gives a reason")
    level, version, note = caller.approver_level, body.version, body.note
    return Decision(body.decision, name, level, version, note, targets)


def proposal_json(proposal: Proposal) -> ProposalAnswer:
    """Describe a proposal."""
    return {
        "proposal_id": proposal.proposal_id,
        "rebalance_id": proposal.rebalance_id,
        "model_id": proposal.model_id,
        "model_name": proposal.model_name,
        "model_version": proposal.model_version,
        "number_of_portfolios": proposal.number_of_portfolios,
        "status": proposal.status,
        "proposed_by": proposal.proposed_by,
        "proposed_at": format_instant(proposal.proposed_at),
        "begun_by": proposal.begun_by,
        "note": proposal.note,
        "required_approvals": proposal.required_approvals,
        "approvals": [_approval_json(approval) for approval in proposal.approvals],
        "ending": None if proposal.ending is None else _ending_json(proposal.ending),
        "override": None if proposal.override is None else _override_json(proposal.override),
        "number_of_holds": proposal.number_of_holds,
        "version": proposal.version,
    }


def hold_json(hold: Hold) -> HoldAnswer:
    """Describe what is not sent."""
    return {
        "portfolio_id": hold.portfolio_id,
        "security_id": hold.security_id,
        "principal": hold.principal,
        "at": format_instant(hold.at),
        "note": hold.note,
    }


def _approval_json(approval: Approval) -> ApprovalAnswer:
    return {
        "principal": approval.principal,
        "level": approval.level,
        "at": format_instant(approval.at),
        "note": approval.note,
    }


def _override_json(override: Override) -> OverrideAnswer:
    at = format_instant(override.at)
    return {"principal": override.principal, "at": at, "reason": override.reason}


def _ending_json(ending: Ending) -> EndingAnswer:
    return {"principal": ending.principal, "at": format_instant(ending.at), "reason": ending.reason}
