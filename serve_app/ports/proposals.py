"""Port of the proposals to send orders, and of the decisions about them."""

from abc import abstractmethod
from typing import Protocol

from serve_app.ports.port import repeatable
from storage.proposals.proposal import Decision, Hold, Proposal, ProposalFilter


class Proposals(Protocol):
    """Proposals, from their creation to their orders."""

    @abstractmethod
    async def add_proposal(self, rebalance_id: str, proposer: str, note: str | None) -> Proposal:
        """Propose to send the orders of a completed rebalance that has no live proposal."""
        ...

    @repeatable
    @abstractmethod
    async def read_proposal(self, proposal_id: str) -> Proposal:
        """Return the proposal; raise NotFoundError if it is not stored."""
        ...

    @repeatable
    @abstractmethod
    async def list_proposals(
        self, proposal_filter: ProposalFilter, offset: int, limit: int
    ) -> tuple[tuple[Proposal, ...], int]:
        """Return one page of proposals, the newest first, and the number of all."""
        ...

    @repeatable
    @abstractmethod
    async def list_holds(
        self, proposal_id: str, offset: int, limit: int
    ) -> tuple[tuple[Hold, ...], int]:
        """Return one page of the portfolios and trades that are not sent, and their number."""
        ...

    @abstractmethod
    async def decide_proposal(self, proposal_id: str, decision: Decision) -> Proposal:
        """Take a decision; an approval asks the upstreams if the proposal is stale."""
        ...

    @abstractmethod
    async def withdraw_proposal(
        self, proposal_id: str, proposer: str, version: int, note: str | None
    ) -> Proposal:
        """End a proposal on the request of its proposer."""
        ...
