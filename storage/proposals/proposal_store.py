"""ProposalStore: the proposals of rebalances, one small document each, and what they hold back.

Every change names the version that it was made to, and is repeated after another change, so that
two approvals at once both count. The record for the audit log is in the same write as the change.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any, Final

import stamina
from bson import ObjectId
from pymongo import DeleteMany, ReturnDocument, UpdateOne
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import DuplicateKeyError

from optimization.errors import RuleError
from storage.audit.author import FindAuthor, find_no_author
from storage.audit.trail import (
    Action,
    AuditTrail,
    build_insert_fields,
    build_update_fields,
    quote_values,
)
from storage.errors import NotFoundError, StaleVersionError
from storage.mongo.connection import (
    Document,
    read_clock,
    require_object_id,
    run_transaction,
    translate_failures,
)
from storage.proposals.errors import NotApprovedError, ProposalStateError, ProposedAlreadyError
from storage.proposals.proposal import (
    OPEN,
    Approval,
    Decision,
    DecisionKind,
    DecisionTarget,
    Ending,
    Hold,
    Override,
    Proposal,
    ProposalFilter,
    ProposalStatus,
    decode_hold,
    decode_proposal,
    encode_approvals,
    encode_proposal,
)

COLLECTION: Final = "proposals"
HOLDS: Final = "proposal_holds"
ENTITY: Final = "proposal"
MAX_HOLDS_PER_PROPOSAL: Final = 10_000  # because each is looked up when orders are sent
MAX_TRIES: Final = 16
MAX_LISTED_TARGETS: Final = 20  # portfolios and trades in one entry of the audit log
NEWEST_FIRST: Final = [("_id", -1)]


Change = Callable[[Proposal], tuple[Proposal, Document]]
"""Changes a proposal, and describes the change for the audit log."""
ApplyHolds = Callable[[AsyncClientSession, Proposal], Awaitable[Proposal]]
"""Changes the holds of a proposal in a transaction, and counts them in the proposal."""


class _ChangedMeanwhileError(Exception):
    """Another change was stored after the proposal was read."""


class ProposalStore:
    """The proposals of one database."""

    def __init__(
        self, database: AsyncDatabase[Document], find_author: FindAuthor = find_no_author
    ) -> None:
        self._database = database
        self._proposals = database[COLLECTION]
        self._holds = database[HOLDS]
        self._trail = AuditTrail(database, find_author)

    @translate_failures
    async def add(self, proposal: Proposal) -> Proposal:
        """Store a new proposal; ProposedAlreadyError if its rebalance has a live one."""
        diff = {
            "rebalance_id": proposal.rebalance_id,
            "model_id": proposal.model_id,
            "model_version": proposal.model_version,
            "number_of_portfolios": proposal.number_of_portfolios,
            "required_approvals": proposal.required_approvals,
            "begun_by": proposal.begun_by,
            "note": proposal.note,
        }
        record = self._trail.record(Action.PROPOSAL_CREATED, proposal.proposal_id, 1, diff=diff)
        document = encode_proposal(proposal) | build_insert_fields(record)
        try:
            await self._proposals.insert_one(document)
        except DuplicateKeyError:
            live = {"rebalance_id": proposal.rebalance_id, "live": True}
            other = await self._proposals.find_one(live, {"_id": 1})
            if other is None:  # because it ended in between
                return await self.add(proposal)
            raise ProposedAlreadyError(proposal.rebalance_id, str(other["_id"])) from None
        return proposal

    @translate_failures
    async def read(self, proposal_id: str) -> Proposal:
        """Return the proposal with this id."""
        return await self._find(proposal_id)

    @translate_failures
    async def read_page(
        self, criteria: ProposalFilter, offset: int, limit: int
    ) -> tuple[tuple[Proposal, ...], int]:
        """Return a page of proposals, the newest first, and their number."""
        query = criteria.build_query()
        total = await self._proposals.count_documents(query)
        cursor = self._proposals.find(query, sort=NEWEST_FIRST, skip=offset, limit=limit)
        return tuple([decode_proposal(document) async for document in cursor]), total

    @translate_failures
    async def find_last(self, rebalance_id: str) -> Proposal | None:
        """Return the live proposal of a rebalance, else the newest; None without proposals."""
        query = {"rebalance_id": rebalance_id}
        # The live proposal comes first, because ids of two processes have no order in a second.
        document = await self._proposals.find_one({**query, "live": True})
        if document is None:
            document = await self._proposals.find_one(query, sort=NEWEST_FIRST)
        return None if document is None else decode_proposal(document)

    @translate_failures
    async def approve(self, proposal_id: str, decision: Decision) -> Proposal:
        """Add an approval; simultaneous approvals all count.

        Raises FourEyesError, ApprovedAlreadyError, ProposalStateError or StaleVersionError.
        """
        at = await read_clock(self._database)
        approval = Approval(decision.principal, decision.level, at, decision.note)

        def change(before: Proposal) -> tuple[Proposal, Document]:
            before.require_approver(decision.principal)
            _require_state(before, (ProposalStatus.PROPOSED,))
            if not before.content_version <= decision.version <= before.version:
                raise StaleVersionError(ENTITY, proposal_id, decision.version, before.version)
            after = replace(before, approvals=(*before.approvals, approval))
            if after.is_approved(before.required_approvals):
                after = replace(after, status=ProposalStatus.APPROVED)
            diff = {"level": approval.level, "note": approval.note, "status": after.status}
            return after, diff

        return await self._change(proposal_id, Action.PROPOSAL_APPROVED, change)

    @translate_failures
    async def end(
        self,
        proposal_id: str,
        status: ProposalStatus,
        ending: tuple[str | None, str],
        version: int | None = None,
        allowed: Sequence[ProposalStatus] = OPEN,
    ) -> Proposal:
        """End an open proposal: REJECTED, WITHDRAWN or STALE, with principal and reason.

        Raises ProposalStateError, or StaleVersionError if ``version`` is not the stored one.
        """
        principal, reason = ending
        end = Ending(principal, await read_clock(self._database), reason)

        def change(before: Proposal) -> tuple[Proposal, Document]:
            _require_state(before, allowed)
            _require_version(before, version)
            return replace(before, status=status, ending=end), {"reason": reason}

        return await self._change(proposal_id, _ENDINGS[status], change)

    @translate_failures
    async def override(self, proposal_id: str, decision: Decision) -> Proposal:
        """Allow other principals to approve plans that break rules.

        Raises FourEyesError, ApprovedAlreadyError, ProposalStateError or StaleVersionError.
        """
        at, reason = await read_clock(self._database), decision.note or ""

        def change(before: Proposal) -> tuple[Proposal, Document]:
            before.require_approver(decision.principal)
            _require_state(before, (ProposalStatus.PROPOSED,))
            _require_version(before, decision.version)
            override = Override(decision.principal, at, reason)
            return replace(before, override=override), {"reason": reason}

        return await self._change(proposal_id, Action.PROPOSAL_OVERRIDDEN, change)

    @translate_failures
    async def order(self, proposal_id: str, required: int) -> Proposal:
        """Mark an approved proposal as ORDERED, before its first order is sent.

        Raises NotApprovedError if it is not APPROVED any more.
        """

        def change(before: Proposal) -> tuple[Proposal, Document]:
            if before.status is not ProposalStatus.APPROVED or not before.is_approved(required):
                raise make_not_approved_error(before)
            after = replace(before, status=ProposalStatus.ORDERED)
            diff = {"rebalance_id": before.rebalance_id, "number_of_holds": before.number_of_holds}
            return after, diff

        return await self._change(proposal_id, Action.PROPOSAL_ORDERED, change)

    @translate_failures
    async def hold(self, proposal_id: str, decision: Decision) -> Proposal:
        """Hold portfolios and trades back; a repeated hold changes its note.

        Raises RuleError beyond MAX_HOLDS_PER_PROPOSAL.
        """
        at = await read_clock(self._database)
        key = {"proposal_id": require_object_id("proposal_id", proposal_id)}
        members = {"principal": decision.principal, "at": at, "note": decision.note}
        upserts = [
            UpdateOne({**key, **_build_target_filter(target)}, {"$set": members}, upsert=True)
            for target in decision.targets
        ]

        async def apply(session: AsyncClientSession, before: Proposal) -> Proposal:
            await self._holds.bulk_write(upserts, session=session)
            count = await self._holds.count_documents(key, session=session)
            if count > MAX_HOLDS_PER_PROPOSAL:
                rule = f"a proposal has at most {MAX_HOLDS_PER_PROPOSAL} holds"
                raise RuleError(("portfolios",), f"{count} holds", rule)
            return replace(before, number_of_holds=count)

        return await self._change_holds(proposal_id, decision, apply)

    @translate_failures
    async def release(self, proposal_id: str, decision: Decision) -> Proposal:
        """Release holds: of a portfolio with its trades, of single trades, or all of them.

        Approvals are removed, because the approvers did not see what is released.
        """
        key = {"proposal_id": require_object_id("proposal_id", proposal_id)}
        filters = [_build_release_filter(target) for target in decision.targets]
        deletions = [DeleteMany({**key, **holds}) for holds in filters or [{}]]

        async def apply(session: AsyncClientSession, before: Proposal) -> Proposal:
            result = await self._holds.bulk_write(deletions, session=session)
            if not result.deleted_count:
                return before
            rest = before.number_of_holds - result.deleted_count
            return replace(
                before,
                number_of_holds=rest,
                approvals=(),
                status=ProposalStatus.PROPOSED,
                content_version=before.version + 1,
            )

        return await self._change_holds(proposal_id, decision, apply)

    @translate_failures
    async def read_holds(
        self, proposal_id: str, offset: int, limit: int
    ) -> tuple[tuple[Hold, ...], int]:
        """Return a page of holds by portfolio and security, and their number."""
        key = {"proposal_id": require_object_id("proposal_id", proposal_id)}
        total = await self._holds.count_documents(key)
        order = [("portfolio_id", 1), ("security_id", 1)]
        cursor = self._holds.find(key, sort=order, skip=offset, limit=limit)
        return tuple([decode_hold(document) async for document in cursor]), total

    async def _change_holds(
        self, proposal_id: str, decision: Decision, apply: ApplyHolds
    ) -> Proposal:
        """Change holds and proposal in one transaction."""
        results: list[Proposal] = []
        step = _HOLD_ACTIONS[decision.kind], _describe_targets(decision)

        async def change_both(session: AsyncClientSession) -> None:
            before = await self._find(proposal_id, session)
            _require_state(before, OPEN)
            _require_version(before, decision.version)
            after = await apply(session, before)
            if after != before:
                after = await self._store(before, after, *step, session)
            results[:] = [after]

        await run_transaction(self._database, change_both)
        return results[0]

    async def _change(self, proposal_id: str, action: Action, change: Change) -> Proposal:
        async for attempt in stamina.retry_context(
            _ChangedMeanwhileError, attempts=MAX_TRIES, timeout=None, wait_max=0
        ):
            before = await self.read(proposal_id)
            # The step is outside the attempt, because a forbidden step is not repeated.
            after, diff = change(before)
            with attempt:
                return await self._store(before, after, action, diff)
        raise AssertionError

    async def _find(self, proposal_id: str, session: AsyncClientSession | None = None) -> Proposal:
        key = {"_id": require_object_id("proposal_id", proposal_id)}
        document = await self._proposals.find_one(key, session=session)
        if document is None:
            raise NotFoundError(ENTITY, proposal_id)
        return decode_proposal(document)

    async def _store(
        self,
        before: Proposal,
        after: Proposal,
        action: Action,
        diff: Mapping[str, Any],
        session: AsyncClientSession | None = None,
    ) -> Proposal:
        """Store the new state of a proposal, unless the stored state has changed meanwhile."""
        after = replace(after, version=before.version + 1)
        record = self._trail.record(action, before.proposal_id, after.version, diff=diff)
        ending = after.ending
        fields: Document = {
            "status": after.status.value,
            "approvals": encode_approvals(after.approvals),
            "number_of_holds": after.number_of_holds,
            "version": after.version,
            "content_version": after.content_version,
        }
        if ending is not None:
            fields["ending"] = asdict(ending)
        if after.override is not None:
            fields["override"] = asdict(after.override)
        update: list[Document] = [{"$set": quote_values(fields) | build_update_fields(record)}]
        if after.status not in (*OPEN, ProposalStatus.ORDERED):
            update.append({"$unset": "live"})
        same = {"_id": ObjectId(before.proposal_id), "version": before.version}
        document = await self._proposals.find_one_and_update(
            same, update, return_document=ReturnDocument.AFTER, session=session
        )
        if document is None:
            raise _ChangedMeanwhileError
        return decode_proposal(document)


async def remove_proposals(
    database: AsyncDatabase[Document], trail: AuditTrail, rebalance_id: str
) -> None:
    """Remove the proposals of a removed rebalance, and keep their records."""
    proposals = database[COLLECTION]
    async for document in proposals.find({"rebalance_id": rebalance_id}, {"_id": 1}):
        await database[HOLDS].delete_many({"proposal_id": document["_id"]})
        await trail.remove(proposals, {"_id": document["_id"]})


def make_not_approved_error(proposal: Proposal) -> NotApprovedError:
    """Make the error that refuses the orders of a proposal in its state."""
    return NotApprovedError(
        proposal.rebalance_id, proposal.proposal_id, proposal.status.value, proposal.reason
    )


_ENDINGS: Final = {
    ProposalStatus.REJECTED: Action.PROPOSAL_REJECTED,
    ProposalStatus.WITHDRAWN: Action.PROPOSAL_WITHDRAWN,
    ProposalStatus.STALE: Action.PROPOSAL_STALE,
}
_HOLD_ACTIONS: Final = {
    DecisionKind.HOLD: Action.PROPOSAL_HELD,
    DecisionKind.RELEASE: Action.PROPOSAL_RELEASED,
}


def _require_state(proposal: Proposal, allowed: Sequence[ProposalStatus]) -> None:
    if proposal.status not in allowed:
        raise ProposalStateError(proposal.proposal_id, proposal.status.value, proposal.reason)


def _require_version(proposal: Proposal, version: int | None) -> None:
    if version not in {None, proposal.version}:
        assert version is not None
        raise StaleVersionError(ENTITY, proposal.proposal_id, version, proposal.version)


def _build_target_filter(target: DecisionTarget) -> Document:
    return {"portfolio_id": target.portfolio_id, "security_id": target.security_id}


def _build_release_filter(target: DecisionTarget) -> Document:
    """Build the filter for the holds that a target releases; a portfolio releases its trades."""
    if target.security_id is None:
        return {"portfolio_id": target.portfolio_id}
    return _build_target_filter(target)


def _describe_targets(decision: Decision) -> Document:
    """Describe the first targets of a decision, and count all."""
    first = [_build_target_filter(target) for target in decision.targets[:MAX_LISTED_TARGETS]]
    return {
        "targets": first or "all",
        "number_of_targets": len(decision.targets),
        "note": decision.note,
    }
