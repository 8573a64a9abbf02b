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
    """Proposals, the newest first, ``limit`` in a request."""
    chosen: dict[str, Any] = {"status": tuple(status), "rebalance_id": rebalance_id}
    return get(tuple[Proposal, ...], "proposals", **chosen, limit=limit)


def read_proposal(proposal_id: str) -> Call[Proposal]:
    """Read a proposal."""
    return get(Proposal, "proposal", proposal_id)


def list_holds(proposal_id: str, *, limit: int = 1000) -> Call[tuple[Hold, ...]]:
    """The portfolios and trades of a proposal that are not sent, ``limit`` in a request."""
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
    """Decide about a version of a proposal: about all of it, or about what is named.

    ``transactions`` are pairs of portfolio id and security id. APPROVE, REJECT and OVERRIDE are
    about all.
    """
    trades = [
        {"portfolio_id": portfolio_id, "security_id": security_id}
        for portfolio_id, security_id in transactions
    ]
    named = {"portfolios": list(portfolios), "transactions": trades}
    chosen = {name: ids for name, ids in named.items() if ids} or {"all": True}
    body = {"decision": decision, "version": version, **chosen}
    if note is not None:
        body["note"] = note
    steps = ("proposal", proposal_id, "decisions")
    # Without If-Match, because approvals of one version at once all count.
    return change(Proposal, "POST", steps, body, None)


def withdraw_proposal(proposal_id: str, *, version: int, note: str | None = None) -> Call[Proposal]:
    """Withdraw an open proposal of one's own."""
    body = {"version": version, **({} if note is None else {"note": note})}
    return change(Proposal, "POST", ("proposal", proposal_id, "withdraw"), body, version)
