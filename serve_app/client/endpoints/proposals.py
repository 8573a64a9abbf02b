"""Proposals to send the orders of a rebalance, and the decisions about them."""

from collections.abc import Sequence
from typing import Any, Literal

from serve_app.client.call import Call, change, get, work
from serve_app.client.responses.proposals import Hold, Proposal


def propose_orders(
    rebalance_id: str, *, note: str | None = None, idempotency_key: str | None = None
) -> Call[Proposal]:
    """Propose to send the orders of a completed rebalance."""
    body = {} if note is None else {"note": note}
    return work(Proposal, ("rebalance", rebalance_id, "proposal"), body, idempotency_key)


def list_proposals(
    *, status: Sequence[str] = (), rebalance_id: str | None = None, limit: int = 1000
) -> Call[tuple[Proposal, ...]]:
    """List proposals, the newest first, ``limit`` in a request."""
    query: dict[str, Any] = {"status": tuple(status), "rebalance_id": rebalance_id}
    return get(tuple[Proposal, ...], "proposals", **query, limit=limit)


def read_proposal(proposal_id: str) -> Call[Proposal]:
    """Read a proposal."""
    return get(Proposal, "proposal", proposal_id)


def list_holds(proposal_id: str, *, limit: int = 1000) -> Call[tuple[Hold, ...]]:
    """List the portfolios and trades of a proposal that are not sent, ``limit`` in a request."""
    return get(tuple[Hold, ...], "proposal", proposal_id, "holds", limit=limit)


def decide_proposal(
    proposal_id: str,
    decision: Literal["APPROVE", "REJECT", "HOLD", "RELEASE", "OVERRIDE"],
    *,
    version: int,
    portfolios: Sequence[str] = (),
    transactions: Sequence[tuple[str, str]] = (),
    note: str | None = None,
) -> Call[Proposal]:
    """Decide about a version of a proposal: about the whole proposal, or about parts of it.

    ``transactions`` are pairs of portfolio id and security id. APPROVE, REJECT and OVERRIDE are
    about the whole proposal.
    """
    trades = [
        {"portfolio_id": portfolio_id, "security_id": security_id}
        for portfolio_id, security_id in transactions
    ]
    parts = {"portfolios": list(portfolios), "transactions": trades}
    subject = {name: ids for name, ids in parts.items() if ids} or {"all": True}
    body = {"decision": decision, "version": version, **subject}
    if note is not None:
        body["note"] = note
    steps = ("proposal", proposal_id, "decisions")
    # No If-Match is sent, because concurrent approvals of one version all count.
    return change(Proposal, "POST", steps, body, None)


def withdraw_proposal(proposal_id: str, *, version: int, note: str | None = None) -> Call[Proposal]:
    """Withdraw an open proposal of the caller."""
    body = {"version": version, **({} if note is None else {"note": note})}
    return change(Proposal, "POST", ("proposal", proposal_id, "withdraw"), body, version)
