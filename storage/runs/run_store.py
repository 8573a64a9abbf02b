"""Runs in MongoDB; the process that holds the lease of a run works on the run.

When a lease lapses, another process continues with the open chunks.
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Final

from bson import ObjectId
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import DuplicateKeyError

from optimization import Refusal
from storage.audit.author import FindAuthor, find_no_author
from storage.audit.trail import (
    PENDING,
    Action,
    AuditTrail,
    build_insert_fields,
    build_update_fields,
    quote_values,
)
from storage.errors import LeaseLostError, NotFoundError
from storage.idempotency_store import ClaimTransactions, IdempotencyClaim
from storage.mongo.connection import (
    Document,
    require_object_id,
    run_transaction,
    translate_failures,
)
from storage.mongo.leases import Leases, build_holder_filter
from storage.options import OWN_OPTIONS, encode_overrides
from storage.rebalances.outcomes import encode_refusal
from storage.runs.run import (
    UNFINISHED,
    Run,
    RunPlan,
    RunStatus,
    Snapshot,
    Totals,
    decode_run,
    decode_snapshot,
    encode_plan,
    encode_run,
    encode_totals,
)

COLLECTION = "runs"
MAX_RECORDED_IDS: Final = 100  # ids of models, and of portfolios, in the record of a new run
Pipeline = list[Document]
CANCELLABLE: Final = (RunStatus.QUEUED, RunStatus.RUNNING)
BUT_PRICES: Final = {"snapshot": 0}
# Portfolios and their options are megabytes, which repeated polls of a run must not read.
BUT_LISTS: Final = {**BUT_PRICES, "selection.portfolio_ids": 0, OWN_OPTIONS: 0, PENDING: 0}


class RunStore:
    """The runs of one database."""

    def __init__(
        self, database: AsyncDatabase[Document], find_author: FindAuthor = find_no_author
    ) -> None:
        self._trail = AuditTrail(database, find_author)
        self._runs = database[COLLECTION]
        self._leases = Leases(self._runs)
        self._claims = ClaimTransactions(database)

    @translate_failures
    async def add(
        self, run: Run, token: str, lease_s: float, completes: IdempotencyClaim | None = None
    ) -> bool:
        """Store a new run whose lease the caller holds; False if the run is stored already.

        The same transaction settles the claim of the run. Raises IdempotencyInProgressError if the
        claim was lost.
        """
        document = encode_run(run) | build_insert_fields(self._make_begin_record(run))

        async def insert(session: AsyncClientSession) -> None:
            await self._runs.insert_one(document, session=session)
            # The lease is part of the transaction, because no process may see a run without it.
            await self._leases.acquire(
                document["_id"], token, lease_s, projection={"_id": 1}, session=session
            )
            if run.claim is not None:
                await self._claims.hold(run.claim, run.run_id, session)
            if completes is not None:
                await self._claims.complete(completes, run.run_id, session)

        try:
            await run_transaction(self._runs.database, insert)
        except DuplicateKeyError:
            return False
        return True

    @translate_failures
    async def read(self, run_id: str) -> Run:
        """Return the run with this id, without its portfolios and their options."""
        return await self._find(run_id, BUT_LISTS)

    @translate_failures
    async def read_whole(self, run_id: str) -> Run:
        """Return the run with this id, with its portfolios and their options."""
        return await self._find(run_id, BUT_PRICES)

    async def _find(self, run_id: str, projection: Document) -> Run:
        key = {"_id": require_object_id("run_id", run_id)}
        document = await self._runs.find_one(key, projection)
        if document is None:
            raise NotFoundError("run", run_id)
        return decode_run(document)

    @translate_failures
    async def read_page(
        self,
        offset: int,
        limit: int,
        statuses: Collection[RunStatus] = (),
        since: datetime | None = None,
    ) -> tuple[tuple[Run, ...], int]:
        """Return a page of runs, the newest first, and the number of runs.

        ``statuses`` limits the runs to these states, ``since`` to runs that began then or later.
        """
        query: Document = {}
        if statuses:
            query["status"] = {"$in": sorted(status.value for status in statuses)}
        if since is not None:
            query["created_at"] = {"$gte": since}
        total = await self._runs.count_documents(query, hint="_id_")
        cursor = self._runs.find(query, BUT_LISTS, sort=[("_id", -1)], skip=offset, limit=limit)
        return tuple([decode_run(document) async for document in cursor]), total

    @translate_failures
    async def read_snapshot(self, run_id: str) -> Snapshot | None:
        """Return the prices of a planned run."""
        document = await self._runs.find_one({"_id": ObjectId(run_id)}, {"snapshot": 1})
        return None if document is None else decode_snapshot(document)

    @translate_failures
    async def claim(self, token: str, lease_s: float) -> Run | None:
        """Take over the oldest unfinished run whose lease is free."""
        query = {"status": {"$in": [status.value for status in UNFINISHED]}}
        document = await self._leases.acquire_first(query, token, lease_s, BUT_PRICES)
        if document is None:
            return None
        await self._runs.update_one({"_id": document["_id"]}, {"$inc": {"takeovers": 1}})
        return decode_run(document)

    @translate_failures
    async def renew(self, run_id: str, token: str, lease_s: float) -> RunStatus:
        """Renew the lease and return the status, which says whether the run is to be cancelled."""
        key, status = ObjectId(run_id), {"status": 1}
        document = await self._leases.renew(key, token, lease_s, projection=status)
        if document is None:
            raise LeaseLostError(run_id)
        return RunStatus(document["status"])

    @translate_failures
    async def begin_chunk(self, run_id: str) -> bool:
        """Begin a chunk of the run; False after the run was cancelled.

        The begin and the cancellation write to one document, because otherwise they would have no
        order.
        """
        result = await self._runs.update_one(
            {"_id": ObjectId(run_id), "status": RunStatus.RUNNING.value},
            [{"$set": {"chunk_begun_at": "$$NOW"}}],
        )
        return result.matched_count == 1

    @translate_failures
    async def store_plan(self, run_id: str, token: str, plan: RunPlan) -> None:
        """Store the plan of the run; afterwards the open chunks are the remaining work."""
        await self._write(run_id, token, {"$set": encode_plan(plan)})
        # A run that was cancelled meanwhile stays cancelled.
        await self._move(run_id, token, RunStatus.QUEUED, RunStatus.RUNNING)

    @translate_failures
    async def store_progress(self, run_id: str, token: str, totals: Totals, at: datetime) -> None:
        """Store the totals of the done chunks."""
        fields = {"totals": encode_totals(totals), "updated_at": at, "takeovers": 0}
        await self._write(run_id, token, {"$set": fields})

    @translate_failures
    async def end(
        self,
        run_id: str,
        token: str,
        status: RunStatus,
        totals: Totals,
        finished_at: datetime,
        problem: Refusal | None = None,
        claim: IdempotencyClaim | None = None,
    ) -> None:
        """End a run, settle the claim of the run, and release its lease."""
        fields: Document = {
            "status": status.value,
            "totals": encode_totals(totals),
            "finished_at": finished_at,
            "updated_at": finished_at,
            "problem": None if problem is None else encode_refusal(problem),
        }
        record = self._make_end_record(run_id, status, totals)
        change = [{"$set": quote_values(fields) | build_update_fields(record)}, {"$unset": "lease"}]
        if claim is None:
            await self._write(run_id, token, change)
        else:
            is_completed = status is RunStatus.COMPLETED
            await self._end_with_claim(run_id, token, change, claim.key, is_completed=is_completed)

    async def _end_with_claim(
        self, run_id: str, token: str, change: Pipeline, key: str, *, is_completed: bool
    ) -> None:
        async def end(session: AsyncClientSession) -> None:
            await self._write(run_id, token, change, session)
            await self._claims.settle(key, run_id, session, is_completed=is_completed)

        await run_transaction(self._runs.database, end)

    async def cancel(self, run_id: str) -> Run:
        """Cancel a run, so that no chunk begins, and return the run; a finished run stays."""
        return await self._cancel(run_id, RunStatus.CANCELLING, CANCELLABLE, Action.RUN_CANCELLED)

    async def discard(self, run_id: str) -> Run:
        """Cancel a run without a caller; its outcomes are removed unless the run was completed."""
        before = (*CANCELLABLE, RunStatus.CANCELLING)
        return await self._cancel(run_id, RunStatus.DISCARDING, before, Action.RUN_DISCARDED)

    @translate_failures
    async def _cancel(
        self, run_id: str, status: RunStatus, before: Sequence[RunStatus], action: Action
    ) -> Run:
        states = {"$in": [former.value for former in before]}
        # The later of the two counts, because $$NOW is the time when an update arrived: an update
        # that then waited for the begin of a chunk would otherwise seem to be older.
        at = {"$max": ["$$NOW", "$chunk_begun_at"]}
        key = require_object_id("run_id", run_id)
        record = self._trail.record(action, str(key))
        change = {"status": status.value, "cancelled_at": at, **build_update_fields(record)}
        await self._runs.update_one({"_id": key, "status": states}, [{"$set": change}])
        return await self.read(run_id)

    @translate_failures
    async def list_over_before(self, moment: datetime) -> tuple[str, ...]:
        """Return the ids of the runs that ended before this moment."""
        query = {"finished_at": {"$lt": moment}}
        cursor = self._runs.find(query, {"_id": 1})
        return tuple([str(document["_id"]) async for document in cursor])

    @translate_failures
    async def forget(self, run_id: str) -> None:
        """Remove a finished run."""
        over = {"$nin": [status.value for status in UNFINISHED]}
        record = self._trail.record(Action.RUN_DELETED, run_id)
        await self._trail.remove(self._runs, {"_id": ObjectId(run_id), "status": over}, record)

    def _make_begin_record(self, run: Run) -> Document:
        """Make the record of a new run, with the first of its models and portfolios."""
        models, portfolios = run.selection.model_ids, run.selection.portfolio_ids
        diff = {
            "model_ids": models[:MAX_RECORDED_IDS],
            "number_of_models": len(models),
            "portfolio_ids": portfolios[:MAX_RECORDED_IDS],
            "number_of_portfolios": len(portfolios),
            "options": encode_overrides(run.overrides),
            "holdings": {"source": run.holdings.source, "file": run.holdings.file},
        }
        return self._trail.record(Action.RUN_BEGUN, run.run_id, diff=diff)

    def _make_end_record(self, run_id: str, status: RunStatus, totals: Totals) -> Document:
        counts = {outcome.value: count for outcome, count in totals.counts.items()}
        diff = {"status": status.value, "counts": counts}
        return self._trail.record(Action.RUN_ENDED, run_id, diff=diff)

    async def _move(self, run_id: str, token: str, before: RunStatus, after: RunStatus) -> None:
        key = {**build_holder_filter(ObjectId(run_id), token), "status": before.value}
        await self._runs.update_one(key, {"$set": {"status": after.value}})

    async def _write(
        self,
        run_id: str,
        token: str,
        change: Document | Pipeline,
        session: AsyncClientSession | None = None,
    ) -> None:
        key = build_holder_filter(ObjectId(run_id), token)
        result = await self._runs.update_one(key, change, session=session)
        if result.matched_count == 0:
            raise LeaseLostError(run_id)
