"""Rebalances in MongoDB: one document a rebalance, one small document a portfolio."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final, NoReturn

from bson import ObjectId
from pymongo import ReturnDocument, timeout
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import BulkWriteError, DuplicateKeyError

from optimization import PortfolioOutcome, Status
from storage.errors import NotFoundError, StaleVersionError
from storage.idempotency_store import ClaimTransactions, IdempotencyClaim
from storage.mongo.connection import (
    WRITER_TIMEOUT_S,
    Document,
    require_object_id,
    run_transaction,
    translate_failures,
)
from storage.mongo.decimal_codec import to_milliseconds
from storage.mongo.sorting import DESCENDING, Sort, sort_order
from storage.options import OWN_OPTIONS
from storage.outcomes import COLLECTION as OUTCOMES
from storage.outcomes import (
    OUTCOME_BATCH_SIZE,
    ids_of,
    is_repetition,
    outcome_batches,
    outcome_from,
    outcome_id,
)
from storage.rebalance import Rebalance, RebalanceStatus, rebalance_document, rebalance_from

COLLECTION = "rebalances"
SORT_FIELDS: Final = {
    "rebalance_id": "_id",
    "model_name": "model_name",
    "rebalance_date": "started_at",
    "number_of_portfolios": "number_of_portfolios",
}
NEWEST_FIRST: Final = (("rebalance_date", DESCENDING),)
BUT_OWN_OPTIONS: Final = {OWN_OPTIONS: 0}  # because they are megabytes that only a run needs


class RebalanceStore:
    """The stored rebalances of one database, with the outcomes of their portfolios."""

    def __init__(self, database: AsyncDatabase[Document]) -> None:
        self._rebalances = database[COLLECTION]
        self._outcomes = database[OUTCOMES]
        self._claims = ClaimTransactions(database)

    @translate_failures
    async def open(self, rebalance: Rebalance) -> Rebalance:
        """Store a rebalance before its first outcome, and return the stored rebalance.

        A process that resumes a rebalance continues with the returned one, because that has the
        prices of the first process.
        """
        try:
            await self._rebalances.insert_one(rebalance_document(rebalance))
        except DuplicateKeyError:
            return await self.read(rebalance.rebalance_id)
        return replace(rebalance, started_at=to_milliseconds(rebalance.started_at))

    @translate_failures
    async def record(
        self, rebalance_id: str, ordinals: Sequence[int], outcomes: Sequence[PortfolioOutcome]
    ) -> Mapping[Status, int]:
        """Store the outcomes of the portfolios with these ordinals; stored outcomes stay.

        Returns the counts of the outcomes that are stored now for these ordinals.
        """
        are_new = True
        for batch in outcome_batches(rebalance_id, ordinals, outcomes):
            try:
                await self._outcomes.insert_many(batch, ordered=False)
            except BulkWriteError as error:
                if not is_repetition(error):
                    raise
                are_new = False
        if are_new:
            return Counter(rebalance.status for rebalance in outcomes)
        ids = {"$in": [outcome_id(rebalance_id, ordinal) for ordinal in ordinals]}
        return await self._counts(ids)

    @translate_failures
    async def match(self, rebalance_id: str, security_ids: Iterable[str]) -> None:
        """Record that a portfolio holds these securities; a repeated call changes nothing."""
        await self._rebalances.update_one(
            {"_id": ObjectId(rebalance_id)},
            {"$pullAll": {"unmatched": list(security_ids)}},
        )

    @translate_failures
    async def store(
        self,
        rebalance: Rebalance,
        outcomes: Sequence[PortfolioOutcome],
        claim: IdempotencyClaim | None = None,
    ) -> Rebalance:
        """Store a finished rebalance with all its outcomes in one transaction.

        The same transaction completes the claim. Raises IdempotencyInProgressError if the claim was
        lost.
        """

        async def insert(session: AsyncClientSession) -> None:
            for batch in outcome_batches(rebalance.rebalance_id, range(len(outcomes)), outcomes):
                await self._outcomes.insert_many(batch, session=session)
            await self._rebalances.insert_one(rebalance_document(rebalance), session=session)
            if claim is not None:
                await self._claims.complete(claim, rebalance.rebalance_id, session)

        try:
            await run_transaction(self._rebalances.database, insert)
        except (DuplicateKeyError, BulkWriteError) as error:
            if isinstance(error, BulkWriteError) and not is_repetition(error):
                raise
            return await self.read(rebalance.rebalance_id)
        return replace(rebalance, started_at=to_milliseconds(rebalance.started_at))

    @translate_failures
    async def finish(
        self, rebalance_id: str, status: RebalanceStatus, finished_at: datetime
    ) -> Rebalance:
        """End a rebalance with the counts of its outcomes; a completed rebalance stays as it is."""
        found = await self._counts(ids_of(rebalance_id))
        counts = {status.value: count for status, count in found.items()}
        ended = {"status": status.value, "counts": counts, "finished_at": finished_at}
        document = await self._rebalances.find_one_and_update(
            {
                "_id": require_object_id("rebalance_id", rebalance_id),
                "status": {"$ne": RebalanceStatus.COMPLETED.value},
            },
            {"$set": ended},
            return_document=ReturnDocument.AFTER,
        )
        return await self.read(rebalance_id) if document is None else rebalance_from(document)

    @translate_failures
    async def read(self, rebalance_id: str) -> Rebalance:
        """Return the rebalance with this id."""
        key = {"_id": require_object_id("rebalance_id", rebalance_id)}
        document = await self._rebalances.find_one(key)
        if document is None:
            raise NotFoundError("rebalance", rebalance_id)
        return rebalance_from(document)

    @translate_failures
    async def read_page(
        self, offset: int = 0, limit: int | None = None, sort: Sort = ()
    ) -> tuple[tuple[Rebalance, ...], int]:
        """Return a page of rebalances, by default the newest first, and their number."""
        return await self._page({}, offset, limit, sort)

    @translate_failures
    async def list_parts(
        self,
        run_id: str,
        after: str | None = None,
        limit: int = 0,
        *,
        with_own_options: bool = False,
    ) -> tuple[Rebalance, ...]:
        """Return the rebalances of a run, in the order of their ids.

        The options of single portfolios are read only on request, because they are megabytes.
        """
        wanted: Document = {"run_id": ObjectId(run_id)}
        if after is not None:
            wanted["_id"] = {"$gt": ObjectId(after)}
        hidden = None if with_own_options else BUT_OWN_OPTIONS
        cursor = self._rebalances.find(wanted, hidden, sort=[("_id", 1)], limit=limit)
        return tuple([rebalance_from(document) async for document in cursor])

    @translate_failures
    async def list_part_ids(self, run_id: str, limit: int) -> tuple[str, ...]:
        """Return the ids of the first rebalances of a run."""
        wanted = {"run_id": ObjectId(run_id)}
        cursor = self._rebalances.find(wanted, {"_id": 1}, sort=[("_id", 1)], limit=limit)
        return tuple([str(document["_id"]) async for document in cursor])

    @translate_failures
    async def forget_parts(self, run_id: str) -> None:
        """Remove the rebalances of a run with their outcomes.

        The outcomes go first, because otherwise a crash in between leaves outcomes without a
        rebalance.
        """
        parts = {"run_id": ObjectId(run_id)}
        async for part in self._rebalances.find(parts, {"_id": 1}):
            with timeout(WRITER_TIMEOUT_S):
                await self._outcomes.delete_many({"_id": ids_of(str(part["_id"]))})
        with timeout(WRITER_TIMEOUT_S):
            await self._rebalances.delete_many(parts)

    @translate_failures
    async def list_older_than(self, moment: datetime, limit: int) -> tuple[Rebalance, ...]:
        """Return at most ``limit`` rebalances that began before this moment."""
        cursor = self._rebalances.find(
            {"started_at": {"$lt": moment}}, BUT_OWN_OPTIONS, limit=limit
        )
        return tuple([rebalance_from(document) async for document in cursor])

    @translate_failures
    async def read_page_of_portfolios(
        self, portfolio_ids: Sequence[str], offset: int, limit: int
    ) -> tuple[tuple[tuple[Rebalance, int], ...], int]:
        """Return the rebalances of any of these portfolios, each with the number of them it has.

        The newest come first.
        """
        held = {"portfolio_id": {"$in": list(portfolio_ids)}}
        rebalance_id = {"$substrBytes": ["$_id", 0, 24]}
        groups = await self._outcomes.aggregate(
            [{"$match": held}, {"$group": {"_id": rebalance_id, "count": {"$sum": 1}}}]
        )
        counts = {group["_id"]: group["count"] async for group in groups}
        runs = [ObjectId(each) for each in counts]
        page, total = await self._page({"_id": {"$in": runs}}, offset, limit, ())
        return tuple((run, counts[run.rebalance_id]) for run in page), total

    @translate_failures
    async def list_outcomes_among(
        self, rebalance: Rebalance, portfolio_ids: Sequence[str], offset: int, limit: int
    ) -> tuple[PortfolioOutcome, ...]:
        """Return a page of the outcomes of these portfolios in the rebalance, by ordinal."""
        held = {"portfolio_id": {"$in": list(portfolio_ids)}}
        return await self._find(rebalance, held, offset, limit)

    @translate_failures
    async def list_outcomes(
        self, rebalance: Rebalance, offset: int = 0, limit: int | None = None
    ) -> tuple[PortfolioOutcome, ...]:
        """Return the stored outcomes with the ordinals offset .. offset + limit - 1, in order.

        The outcomes are looked up by id, because then the last page costs no more than the first.
        """
        end = rebalance.number_of_portfolios
        end = end if limit is None else min(end, offset + limit)
        found: list[PortfolioOutcome] = []
        for start in range(offset, end, OUTCOME_BATCH_SIZE):
            ordinals = range(start, min(start + OUTCOME_BATCH_SIZE, end))
            keys = [outcome_id(rebalance.rebalance_id, ordinal) for ordinal in ordinals]
            found.extend(await self._find(rebalance, {"_id": {"$in": keys}}))
        return tuple(found)

    @translate_failures
    async def read_outcome(self, rebalance: Rebalance, portfolio_id: str) -> PortfolioOutcome:
        """Return the outcome of one portfolio in the rebalance."""
        return (await self.list_outcomes_of(rebalance, (portfolio_id,)))[0]

    @translate_failures
    async def list_outcomes_of(
        self, rebalance: Rebalance, portfolio_ids: Sequence[str]
    ) -> tuple[PortfolioOutcome, ...]:
        """Return the outcomes of these portfolios in the rebalance, by ordinal."""
        found = await self._find(rebalance, {"portfolio_id": {"$in": list(portfolio_ids)}})
        missing = set(portfolio_ids).difference(each.portfolio_id for each in found)
        if missing:
            raise NotFoundError("portfolio in this rebalance", min(missing))
        return found

    @translate_failures
    async def count_transactions(self, rebalance_id: str) -> int:
        """Count the transactions of all portfolios of the rebalance."""
        pairs = {"$zip": {"inputs": ["$before", "$after"]}}
        is_traded = {"$ne": [{"$arrayElemAt": ["$$pair", 0]}, {"$arrayElemAt": ["$$pair", 1]}]}
        traded = {"$filter": {"input": pairs, "as": "pair", "cond": is_traded}}
        of_run = {"$match": {"_id": ids_of(rebalance_id)}}
        # Outcomes that predate the stored number have the arrays alone.
        number = {"$ifNull": ["$transactions", {"$size": traded}]}
        summed = {"$group": {"_id": None, "count": {"$sum": number}}}
        with timeout(WRITER_TIMEOUT_S):
            groups = await self._outcomes.aggregate([of_run, summed])
            return sum([group["count"] async for group in groups])

    @translate_failures
    async def delete(self, rebalance_id: str, version: int) -> None:
        """Remove a rebalance and its outcomes if ``version`` is still the stored version.

        The outcomes go first, because otherwise a crash in between leaves outcomes without a
        rebalance.
        """
        key = {"_id": require_object_id("rebalance_id", rebalance_id), "version": version}
        if await self._rebalances.find_one(key, {"_id": 1}) is None:
            await self._raise_why_unmatched(rebalance_id, version)
        with timeout(WRITER_TIMEOUT_S):
            await self._outcomes.delete_many({"_id": ids_of(rebalance_id)})
        if (await self._rebalances.delete_one(key)).deleted_count == 0:
            await self._raise_why_unmatched(rebalance_id, version)

    async def _page(
        self, matching: Document, offset: int, limit: int | None, sort: Sort
    ) -> tuple[tuple[Rebalance, ...], int]:
        order = sort_order(sort, SORT_FIELDS, NEWEST_FIRST)
        total = await self._rebalances.count_documents(matching, hint="_id_")
        if limit == 0:  # because MongoDB takes 0 for no limit
            return (), total
        skip, limit = offset, limit or 0
        cursor = self._rebalances.find(
            matching, BUT_OWN_OPTIONS, sort=order, skip=skip, limit=limit
        )
        return tuple([rebalance_from(document) async for document in cursor]), total

    async def _find(
        self, rebalance: Rebalance, matching: Document, offset: int = 0, limit: int = 0
    ) -> tuple[PortfolioOutcome, ...]:
        within = {"$and": [matching, {"_id": ids_of(rebalance.rebalance_id)}]}
        cursor = self._outcomes.find(
            within, sort=[("_id", 1)], skip=offset, limit=limit, batch_size=OUTCOME_BATCH_SIZE
        )
        return tuple([outcome_from(document, rebalance.securities) async for document in cursor])

    async def _counts(self, ids: Document) -> dict[Status, int]:
        of_run = {"$match": {"_id": ids}}
        by_status = {"$group": {"_id": "$status", "count": {"$sum": 1}}}
        with timeout(WRITER_TIMEOUT_S):
            groups = await self._outcomes.aggregate([of_run, by_status])
            return {Status(group["_id"]): group["count"] async for group in groups}

    async def _raise_why_unmatched(self, rebalance_id: str, version: int) -> NoReturn:
        stored = await self.read(rebalance_id)
        raise StaleVersionError("rebalance", rebalance_id, version, stored.version)
