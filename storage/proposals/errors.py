"""Errors of proposals, and of orders that need one.

StorageError
├── HandOverError
│   └── NotApprovedError         the orders need an approved proposal
└── ProposalError                a step that a proposal does not allow
    ├── ProposedAlreadyError     the rebalance has another proposal
    ├── FourEyesError            its proposer, or who began its rebalance, would approve it
    ├── ApprovedAlreadyError     the principal has approved it
    ├── NotProposerError         somebody else withdraws it
    ├── RulesBrokenError         plans break rules, and nobody overrode them
    └── ProposalStateError       its state does not allow the step

Every class passes all its arguments to ``super().__init__``, because otherwise its objects do not
survive pickling between processes.
"""

from collections.abc import Mapping
from typing import Any

from storage.errors import HandOverError, StorageError


class NotApprovedError(HandOverError):
    """Orders need an approved proposal; ``status`` is the state of the last proposal, if any.

    ``reason`` says why the proposal is not APPROVED, None if no reason was given.
    """

    def __init__(
        self,
        rebalance_id: str,
        proposal_id: str | None = None,
        status: str | None = None,
        reason: str | None = None,
    ) -> None:
        super().__init__(rebalance_id, proposal_id, status, reason)
        self.rebalance_id = rebalance_id
        self.proposal_id = proposal_id
        self.status = status
        self.reason = reason

    def __str__(self) -> str:
        if self.proposal_id is None:
            return f"rebalance {self.rebalance_id} has no proposal"
        cause = f": {self.reason}" if self.reason else ""
        return (
            f"proposal {self.proposal_id} of rebalance {self.rebalance_id} is {self.status}{cause}"
        )


class ProposalError(StorageError):
    """Base of the errors of steps that a proposal does not allow."""


class ProposedAlreadyError(ProposalError):
    """The rebalance has another proposal that may lead, or has led, to orders."""

    def __init__(self, rebalance_id: str, proposal_id: str) -> None:
        super().__init__(rebalance_id, proposal_id)
        self.rebalance_id = rebalance_id
        self.proposal_id = proposal_id

    def __str__(self) -> str:
        return f"rebalance {self.rebalance_id} has proposal {self.proposal_id} already"


class FourEyesError(ProposalError):
    """A principal would approve what the same principal proposed or began."""

    def __init__(self, proposal_id: str, principal: str, did: str) -> None:
        super().__init__(proposal_id, principal, did)
        self.proposal_id = proposal_id
        self.principal = principal
        self.did = did

    def __str__(self) -> str:
        return f"{self.principal} {self.did}, and cannot approve proposal {self.proposal_id}"


class ApprovedAlreadyError(ProposalError):
    """The principal has approved the proposal, and counts once."""

    def __init__(self, proposal_id: str, principal: str) -> None:
        super().__init__(proposal_id, principal)
        self.proposal_id = proposal_id
        self.principal = principal

    def __str__(self) -> str:
        return f"{self.principal} has approved proposal {self.proposal_id} already"


class NotProposerError(ProposalError):
    """A principal would withdraw the proposal of another."""

    def __init__(self, proposal_id: str, principal: str, proposed_by: str) -> None:
        super().__init__(proposal_id, principal, proposed_by)
        self.proposal_id = proposal_id
        self.principal = principal
        self.proposed_by = proposed_by

    def __str__(self) -> str:
        return f"proposal {self.proposal_id} is that of {self.proposed_by}, not of {self.principal}"


class RulesBrokenError(ProposalError):
    """Plans break rules of severity BLOCK, and are neither held nor overridden.

    ``portfolios`` lists the first portfolios with the names of these rules, the number counts all.
    """

    def __init__(
        self,
        proposal_id: str,
        portfolios: tuple[Mapping[str, Any], ...],
        number_of_portfolios: int,
    ) -> None:
        super().__init__(proposal_id, portfolios, number_of_portfolios)
        self.proposal_id = proposal_id
        self.portfolios = portfolios
        self.number_of_portfolios = number_of_portfolios

    def __str__(self) -> str:
        first = self.portfolios[0]
        return (
            f"plans of proposal {self.proposal_id} break rules "
            f"(portfolios: {self.number_of_portfolios}; the first is {first['portfolio_id']}, with "
            f"{', '.join(first['rules'])}): hold them, or let an approver override the rules"
        )


class ProposalStateError(ProposalError):
    """The state of the proposal does not allow the step."""

    def __init__(self, proposal_id: str, status: str, reason: str | None = None) -> None:
        super().__init__(proposal_id, status, reason)
        self.proposal_id = proposal_id
        self.status = status
        self.reason = reason

    def __str__(self) -> str:
        cause = f": {self.reason}" if self.reason else ""
        return f"proposal {self.proposal_id} is {self.status}{cause}"
