"""Routes of proposals: propose the orders of a rebalance, decide on them, withdraw them."""

from typing import Annotated, Final

from fastapi import APIRouter, Path, Query, Request
from starlette.responses import Response

from serve_app.api.access import (
    DecidesProposals,
    ProposesOrders,
    ReadsRebalances,
    ReadsSomeRebalances,
)
from serve_app.api.dependencies import RebalanceId, StorePort
from serve_app.api.etags import NOT_MODIFIED, IfMatch, IfNoneMatch, not_modified, proposal_etag
from serve_app.api.exact_json import ExactRoute
from serve_app.api.idempotency import Idempotent
from serve_app.api.openapi.problem_answers import refuses
from serve_app.api.pagination import Offset, Portfolios, page_headers
from serve_app.api.responses import json_response
from serve_app.api.schemas.proposals import (
    DecisionBody,
    HoldAnswer,
    ProposalAnswer,
    ProposalPost,
    WithdrawalBody,
    build_decision,
    hold_json,
    proposal_json,
)
from serve_app.problems import catalogue
from storage.proposals.proposal import Proposal, ProposalFilter, ProposalStatus

router = APIRouter(prefix="/api/v1", tags=["proposals"], route_class=ExactRoute)

ProposalId = Annotated[str, Path(pattern=r"^[0-9a-fA-F]{24}$", description="24 hexadecimal digits")]
Statuses = Annotated[
    list[ProposalStatus],
    Query(max_length=8, description="only proposals in these states; repeatable"),
]
OfRebalance = Annotated[
    str | None,
    Query(pattern=r"^[0-9a-fA-F]{24}$", description="only the proposals of this rebalance"),
]
WRONG_PROPOSAL: Final = (catalogue.BAD_ID, catalogue.NOT_FOUND, catalogue.INVALID_REQUEST)
WRONG_STEP: Final = (
    *WRONG_PROPOSAL,
    catalogue.UNAUTHENTICATED,
    catalogue.PROPOSAL_STATE,
    catalogue.STALE_VERSION,
    catalogue.PRECONDITION_FAILED,
    catalogue.PRECONDITION_REQUIRED,
    catalogue.BODY_TOO_LARGE,
)


@router.post(
    "/rebalance/{rebalance_id}/proposal",
    status_code=201,
    response_model=ProposalAnswer,
    responses=refuses(
        *WRONG_PROPOSAL,
        catalogue.UNAUTHENTICATED,
        catalogue.REBALANCE_NOT_COMPLETED,
        catalogue.PROPOSED_ALREADY,
        catalogue.IDEMPOTENCY_KEY_REUSED,
        catalogue.REQUEST_IN_PROGRESS,
        catalogue.BODY_TOO_LARGE,
    ),
)
async def propose_orders(
    caller: ProposesOrders,
    rebalance_id: RebalanceId,
    store: StorePort,
    once: Idempotent,
    body: ProposalPost | None = None,
) -> Response:
    """Propose to send the orders of a completed rebalance."""
    proposer, note = caller.require_name(), None if body is None else body.note
    proposal, replay = await once(
        lambda: store.add_proposal(rebalance_id, proposer, note),
        lambda proposal: proposal.proposal_id,
        store.read_proposal,
    )
    location = {"Location": f"/api/v1/proposal/{proposal.proposal_id}"}
    return _answer(proposal, 201, location | replay)


@router.get(
    "/proposals", response_model=list[ProposalAnswer], responses=refuses(catalogue.INVALID_REQUEST)
)
async def list_proposals(
    caller: ReadsSomeRebalances,
    request: Request,
    store: StorePort,
    status: Statuses = [],  # noqa: B006 - FastAPI copies it
    rebalance_id: OfRebalance = None,
    offset: Offset = 0,
    limit: Portfolios = 100,
) -> Response:
    """List proposals, the newest first; a limited caller sees those within its limits alone."""
    statuses = tuple(dict.fromkeys(status))
    proposal_filter = ProposalFilter(statuses, rebalance_id, caller.models, caller.portfolios)
    proposals, total = await store.list_proposals(proposal_filter, offset, limit)
    headers = page_headers(request, offset, limit, total)
    return json_response([proposal_json(proposal) for proposal in proposals], headers=headers)


@router.get(
    "/proposal/{proposal_id}",
    response_model=ProposalAnswer,
    responses={**NOT_MODIFIED, **refuses(*WRONG_PROPOSAL)},
)
async def read_proposal(
    _: ReadsRebalances, proposal_id: ProposalId, store: StorePort, if_none_match: IfNoneMatch = None
) -> Response:
    """Read a proposal; whether it is stale shows when it is approved or ordered."""
    proposal = await store.read_proposal(proposal_id)
    return not_modified(proposal_etag(proposal), if_none_match) or _answer(proposal)


@router.get(
    "/proposal/{proposal_id}/holds",
    response_model=list[HoldAnswer],
    responses=refuses(*WRONG_PROPOSAL),
)
async def list_holds(
    _: ReadsRebalances,
    request: Request,
    proposal_id: ProposalId,
    store: StorePort,
    offset: Offset = 0,
    limit: Portfolios = 100,
) -> Response:
    """List the portfolios and trades that are not sent, by portfolio and security."""
    holds, total = await store.list_holds(proposal_id, offset, limit)
    headers = page_headers(request, offset, limit, total)
    return json_response([hold_json(hold) for hold in holds], headers=headers)


@router.post(
    "/proposal/{proposal_id}/decisions",
    response_model=ProposalAnswer,
    responses=refuses(
        *WRONG_STEP,
        catalogue.FOUR_EYES,
        catalogue.APPROVED_ALREADY,
        catalogue.RULES_BROKEN,
        catalogue.PRICES_MISSING,
        catalogue.HOLDINGS_FILE,
        catalogue.UPSTREAM_CONTRACT,
        catalogue.UPSTREAM_UNAVAILABLE,
        catalogue.OVERLOADED,
    ),
)
async def decide_proposal(
    caller: DecidesProposals,
    proposal_id: ProposalId,
    body: DecisionBody,
    store: StorePort,
    precondition: IfMatch,
) -> Response:
    """Approve or reject a proposal, or hold and release parts of it.

    An approval is refused to who proposed the orders or began the rebalance, and makes a proposal
    STALE if holdings, model or prices have moved. Approvals of one version at once all count. Plans
    that break rules are approved only if they are held or somebody else overrides the rules.
    """
    decision = build_decision(body, caller)
    precondition.require(body.version)
    return _answer(await store.decide_proposal(proposal_id, decision))


@router.post(
    "/proposal/{proposal_id}/withdraw",
    response_model=ProposalAnswer,
    responses=refuses(*WRONG_STEP, catalogue.NOT_PROPOSER),
)
async def withdraw_proposal(
    caller: ProposesOrders,
    proposal_id: ProposalId,
    body: WithdrawalBody,
    store: StorePort,
    precondition: IfMatch,
) -> Response:
    """Withdraw an open proposal; its proposer alone may."""
    proposer = caller.require_name()
    precondition.require(body.version)
    return _answer(await store.withdraw_proposal(proposal_id, proposer, body.version, body.note))


def _answer(
    proposal: Proposal, status: int = 200, headers: dict[str, str] | None = None
) -> Response:
    all_headers = {"ETag": proposal_etag(proposal), **(headers or {})}
    return json_response(proposal_json(proposal), status, all_headers)
