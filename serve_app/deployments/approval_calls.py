"""Calls of the ModelStore deployment about proposals and pre-trade rules."""

from collections.abc import Mapping
from typing import Final

from serve_app.approvals.process import ApprovalProcess
from serve_app.observability.events import log_event
from serve_app.ports.proposals import Proposals
from serve_app.ports.rules import StoredRules
from serve_app.resources import Resources
from storage.audit.trail import Action
from storage.proposals.proposal import Decision, DecisionKind, Hold, Proposal, ProposalFilter
from storage.rules.rule import Rule

ACTIONS: Final[Mapping[DecisionKind, Action]] = {
    DecisionKind.APPROVE: Action.PROPOSAL_APPROVED,
    DecisionKind.REJECT: Action.PROPOSAL_REJECTED,
    DecisionKind.HOLD: Action.PROPOSAL_HELD,
    DecisionKind.RELEASE: Action.PROPOSAL_RELEASED,
    DecisionKind.OVERRIDE: Action.PROPOSAL_OVERRIDDEN,
}


class ApprovalCalls(StoredRules, Proposals):
    """Proposals and rules, for the deployment that has the resources."""

    _resources: Resources
    _approvals: ApprovalProcess

    async def add_proposal(self, rebalance_id: str, proposer: str, note: str | None) -> Proposal:
        """Propose to send the orders of a rebalance."""
        proposal = await self._approvals.propose(rebalance_id, proposer, note)
        log_event(Action.PROPOSAL_CREATED, proposal.proposal_id, rebalance_id=rebalance_id)
        return proposal

    async def read_proposal(self, proposal_id: str) -> Proposal:
        """Read the proposal with this id."""
        return await self._resources.proposals.read(proposal_id)

    async def list_proposals(
        self, proposal_filter: ProposalFilter, offset: int, limit: int
    ) -> tuple[tuple[Proposal, ...], int]:
        """Return one page of proposals and the number of all."""
        return await self._resources.proposals.read_page(proposal_filter, offset, limit)

    async def list_holds(
        self, proposal_id: str, offset: int, limit: int
    ) -> tuple[tuple[Hold, ...], int]:
        """Return one page of what a proposal holds back, and the number of all holds."""
        await self._resources.proposals.read(proposal_id)
        return await self._resources.proposals.read_holds(proposal_id, offset, limit)

    async def decide_proposal(self, proposal_id: str, decision: Decision) -> Proposal:
        """Take a decision about a proposal."""
        decided = await self._approvals.decide(proposal_id, decision)
        log_event(ACTIONS[decision.kind], proposal_id, status=decided.status.value)
        return decided

    async def withdraw_proposal(
        self, proposal_id: str, proposer: str, version: int, note: str | None
    ) -> Proposal:
        """End a proposal on the request of its proposer."""
        ended = await self._approvals.withdraw(proposal_id, proposer, version, note)
        log_event(Action.PROPOSAL_WITHDRAWN, proposal_id)
        return ended

    async def add_rule(self, rule: Rule) -> Rule:
        """Store a new rule."""
        added = await self._resources.rules.add(rule)
        log_event(Action.RULE_CREATED, added.rule_id, rule=added.name)
        return added

    async def read_rule(self, rule_id: str) -> Rule:
        """Read the rule with this id."""
        return await self._resources.rules.read(rule_id)

    async def list_rules(self) -> tuple[Rule, ...]:
        """Return all rules."""
        return await self._resources.rules.list_all()

    async def replace_rule(self, rule: Rule) -> Rule:
        """Replace the rule of this version."""
        replaced = await self._resources.rules.replace(rule)
        log_event(Action.RULE_EDITED, replaced.rule_id, version=replaced.version)
        return replaced

    async def delete_rule(self, rule_id: str, version: int) -> None:
        """Remove the rule of this version."""
        await self._resources.rules.delete(rule_id, version)
        log_event(Action.RULE_DELETED, rule_id, version=version)
