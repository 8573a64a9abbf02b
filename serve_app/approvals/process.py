"""ApprovalProcess: proposals from their making to their orders."""

from collections.abc import Mapping, Sequence
from typing import Final

from bson import ObjectId

from optimization.errors import RuleError
from serve_app.approvals.broken_rules import iterate_blocked
from serve_app.approvals.staleness import StalenessCheck
from serve_app.call_context import principal
from serve_app.resources import Resources
from serve_app.settings import Settings
from storage.errors import NotCompletedError, NotFoundError
from storage.mongo.connection import read_clock
from storage.proposals.errors import (
    NotApprovedError,
    NotProposerError,
    ProposalStateError,
    RulesBrokenError,
)
from storage.proposals.proposal import (
    MAX_KEPT_PORTFOLIOS,
    Decision,
    DecisionKind,
    DecisionTarget,
    Hold,
    Proposal,
    ProposalStatus,
)
from storage.proposals.proposal_store import MAX_HOLDS_PER_PROPOSAL, make_not_approved_error
from storage.rebalances.rebalance import Rebalance, RebalanceStatus

MAX_LISTED_PORTFOLIOS: Final = 20
BROKEN: Final = "not sent: the plan breaks a rule of severity BLOCK"
UNKNOWN_TRADE: Final = "a trade is a transaction of the rebalance: its portfolio and security"


class ApprovalProcess:
    """Makes proposals, takes decisions, and says which orders may be sent."""

    def __init__(
        self, settings: Settings, resources: Resources, staleness: StalenessCheck | None = None
    ) -> None:
        self._required = settings.require_approvals
        self._resources = resources
        self._staleness = staleness or StalenessCheck(settings, resources)

    async def propose(self, rebalance_id: str, proposer: str, note: str | None) -> Proposal:
        """Propose to send the orders of a completed rebalance.

        Raises NotCompletedError, or ProposedAlreadyError if it has a live proposal.
        """
        rebalance = await self._resources.rebalances.read(rebalance_id)
        if rebalance.status is not RebalanceStatus.COMPLETED:
            raise NotCompletedError(rebalance_id, rebalance.status)
        return await self._resources.proposals.add(
            Proposal(
                proposal_id=str(ObjectId()),
                rebalance_id=rebalance.rebalance_id,
                model_id=rebalance.model_id,
                model_name=rebalance.model_name,
                model_version=rebalance.model_version,
                number_of_portfolios=rebalance.number_of_portfolios,
                proposed_by=proposer,
                proposed_at=await read_clock(self._resources.database),
                begun_by=rebalance.begun_by,
                required_approvals=max(1, self._required),
                note=note,
                portfolio_ids=await self._list_portfolios(rebalance),
            )
        )

    async def _list_portfolios(self, rebalance: Rebalance) -> tuple[str, ...] | None:
        """List the portfolios of a small rebalance, by which limited callers find its proposal."""
        if rebalance.number_of_portfolios > MAX_KEPT_PORTFOLIOS:
            return None
        outcomes = await self._resources.rebalances.list_outcomes(rebalance, 0, MAX_KEPT_PORTFOLIOS)
        return tuple(outcome.portfolio_id for outcome in outcomes)

    async def decide(self, proposal_id: str, decision: Decision) -> Proposal:
        """Take a decision; the approval of a proposal overtaken by events makes it STALE.

        Raises the errors of ``ProposalStore``, and those of upstreams.
        """
        match decision.kind:
            case DecisionKind.APPROVE:
                return await self._approve(proposal_id, decision)
            case DecisionKind.REJECT:
                ending = decision.principal, decision.note or ""
                allowed = (ProposalStatus.PROPOSED,)
                status = ProposalStatus.REJECTED
                return await self._resources.proposals.end(
                    proposal_id, status, ending, decision.version, allowed
                )
            case DecisionKind.HOLD:
                proposal = await self._resources.proposals.read(proposal_id)
                await self._require_targets(proposal, decision.targets)
                return await self._resources.proposals.hold(proposal_id, decision)
            case DecisionKind.RELEASE:
                return await self._resources.proposals.release(proposal_id, decision)
            case DecisionKind.OVERRIDE:
                return await self._resources.proposals.override(proposal_id, decision)

    async def withdraw(
        self, proposal_id: str, proposer: str, version: int, note: str | None
    ) -> Proposal:
        """End a proposal that nobody ordered; NotProposerError unless by its proposer."""
        proposal = await self._resources.proposals.read(proposal_id)
        if proposal.proposed_by != proposer:
            raise NotProposerError(proposal_id, proposer, proposal.proposed_by)
        ending = proposer, note or "withdrawn by the proposer"
        return await self._resources.proposals.end(
            proposal_id, ProposalStatus.WITHDRAWN, ending, version
        )

    async def require_approved(self, rebalance_id: str) -> Proposal | None:
        """Return the proposal whose orders may be sent; None if the rebalance needs none.

        A rebalance with a proposal needs its approval even where REQUIRE_APPROVALS is 0. Raises
        NotApprovedError, and the errors of upstreams.
        """
        rebalance = await self._resources.rebalances.read(rebalance_id)
        proposal = await self._resources.proposals.find_last(rebalance.rebalance_id)
        if proposal is None or proposal.status is ProposalStatus.WITHDRAWN:
            if not self._required:
                return None
            raise self._build_error(rebalance, proposal)
        if proposal.status is ProposalStatus.ORDERED:
            return proposal
        if proposal.status is not ProposalStatus.APPROVED or not proposal.is_approved(
            self._required
        ):
            raise make_not_approved_error(proposal)
        if stale := await self._end_if_stale(proposal, rebalance):
            raise make_not_approved_error(stale)
        return proposal

    async def begin_orders(self, rebalance_id: str, proposal: Proposal | None) -> None:
        """Mark an approved proposal as ORDERED, and hold back what it holds.

        Nothing can be held or released after that, so the holds are complete. Without a proposal
        the portfolios are held back whose plans break rules, because nobody overrode them.
        """
        if proposal is None:
            rebalance = await self._resources.rebalances.read(rebalance_id)
            async for blocked in iterate_blocked(self._resources, rebalance):
                ids = [portfolio.portfolio_id for portfolio in blocked]
                await self._resources.open_orders.hold(rebalance.rebalance_id, ids, BROKEN)
            return
        if proposal.status is not ProposalStatus.ORDERED:
            await self._resources.proposals.order(proposal.proposal_id, self._required)
        holds = await self._list_holds(proposal.proposal_id)
        await self._resources.open_orders.hold_back(proposal.rebalance_id, holds)

    async def _list_holds(self, proposal_id: str) -> Sequence[Hold]:
        holds, _ = await self._resources.proposals.read_holds(
            proposal_id, 0, MAX_HOLDS_PER_PROPOSAL
        )
        return holds

    async def _approve(self, proposal_id: str, decision: Decision) -> Proposal:
        proposal = await self._resources.proposals.read(proposal_id)
        # The approver is checked first, because upstreams may take minutes for a large proposal.
        proposal.require_approver(decision.principal)
        if proposal.status is ProposalStatus.PROPOSED:
            rebalance = await self._resources.rebalances.read(proposal.rebalance_id)
            if stale := await self._end_if_stale(proposal, rebalance):
                raise ProposalStateError(proposal_id, stale.status.value, stale.reason)
            if proposal.override is None:
                await self._require_rules(proposal, rebalance)
        return await self._resources.proposals.approve(proposal_id, decision)

    async def _require_rules(self, proposal: Proposal, rebalance: Rebalance) -> None:
        """Raise RulesBrokenError if a plan breaks a rule and its portfolio is not held."""
        held_ids: set[str] | None = None
        rows_to_list: list[Mapping[str, object]] = []
        count = 0
        async for blocked in iterate_blocked(self._resources, rebalance):
            if held_ids is None:
                holds = await self._list_holds(proposal.proposal_id)
                held_ids = {hold.portfolio_id for hold in holds if hold.security_id is None}
            open_portfolios = [
                portfolio for portfolio in blocked if portfolio.portfolio_id not in held_ids
            ]
            count += len(open_portfolios)
            names = {portfolio.portfolio_id: list(portfolio.rules) for portfolio in open_portfolios}
            rows = [
                {"portfolio_id": portfolio_id, "rules": rules}
                for portfolio_id, rules in names.items()
            ]
            rows_to_list += rows[: MAX_LISTED_PORTFOLIOS - len(rows_to_list)]
        if count:
            raise RulesBrokenError(proposal.proposal_id, tuple(rows_to_list), count)

    async def _end_if_stale(self, proposal: Proposal, rebalance: Rebalance) -> Proposal | None:
        reason = await self._staleness.find_reason(proposal, rebalance)
        if reason is None:
            return None
        ending = principal.get() or None, reason
        return await self._resources.proposals.end(
            proposal.proposal_id, ProposalStatus.STALE, ending
        )

    async def _require_targets(self, proposal: Proposal, targets: Sequence[DecisionTarget]) -> None:
        """Raise RuleError unless the rebalance has these portfolios and trades."""
        rebalance = await self._resources.rebalances.read(proposal.rebalance_id)
        ids = tuple(dict.fromkeys(target.portfolio_id for target in targets))
        try:
            outcomes = await self._resources.rebalances.list_portfolio_outcomes(rebalance, ids)
        except NotFoundError as error:
            rule = "the proposal has no such portfolio"
            raise RuleError(("portfolios",), error.entity_id, rule) from error
        trades = {
            (outcome.portfolio_id, transaction.security_id)
            for outcome in outcomes
            for transaction in outcome.transactions
        }
        for place, target in enumerate(targets):
            if target.security_id and (target.portfolio_id, target.security_id) not in trades:
                wrong = f"{target.portfolio_id} {target.security_id}"
                raise RuleError(("transactions", place), wrong, UNKNOWN_TRADE)

    @staticmethod
    def _build_error(rebalance: Rebalance, proposal: Proposal | None) -> NotApprovedError:
        if proposal is None:
            return NotApprovedError(rebalance.rebalance_id)
        return make_not_approved_error(proposal)
