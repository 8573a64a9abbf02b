"""Recorder of the outcomes of runs: columns of many portfolios, and documents beside them.

Every portfolio of a run is in exactly one document of ``outcome_chunks``, because the index on the
portfolios of a rebalance is unique. Its status there is that of its outcome, or says that the
outcome is beside: a document of its own in ``outcomes``. A repeated write changes no document, and
adds the missing ones beside, however the first writer ended and whatever it had divided.
"""

from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from typing import Final

import numpy as np
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import BulkWriteError

from optimization import BESIDE, BlockOutcome, OptimizationError, PortfolioOutcome, Status
from storage.mongo.connection import Document
from storage.outcome_columns import COLLECTION as OUTCOME_CHUNKS
from storage.outcome_columns import (
    MAX_ROWS,
    Statuses,
    claim_document,
    column_documents,
    count_statuses,
    covering,
    status_from,
)
from storage.outcome_counts import count_documents
from storage.outcomes import COLLECTION as OUTCOMES
from storage.outcomes import ids_of, is_repetition, ordinal_of, outcome_batches, outcome_id

UNCLAIMED: Final = -2  # status of a row that is in no document of columns
REMEMBERED_REBALANCES: Final = 64  # a process writes to a few of them in turn

Claims = Callable[[range], Iterator[Document]]
"""Makes the documents of columns of some rows."""


class StoredCounts(Counter[Status]):
    """Number of stored outcomes by status.

    ``are_new`` is False if any of them was there before the call that counts them.
    """

    are_new: bool = True


class OutcomeRecorder:
    """Writer of the outcomes of runs, safe against repeats and other writers."""

    def __init__(self, database: AsyncDatabase[Document]) -> None:
        self._outcomes = database[OUTCOMES]
        self._chunks = database[OUTCOME_CHUNKS]
        self._in_chunks = deque[str](maxlen=REMEMBERED_REBALANCES)

    async def record(
        self, rebalance_id: str, ordinals: range, outcomes: Sequence[PortfolioOutcome]
    ) -> StoredCounts:
        """Store outcomes as documents of their own; return the counts that are stored now."""
        if len(ordinals) != len(outcomes):
            raise ValueError(f"{len(outcomes)} outcomes, {len(ordinals)} ordinals")

        def claims(rows: range) -> Iterator[Document]:
            for start in range(rows.start, rows.stop, MAX_ROWS):
                some = outcomes[start : min(start + MAX_ROWS, rows.stop)]
                ids = [outcome.portfolio_id for outcome in some]
                yield claim_document(rebalance_id, ordinals.start + start, ids)

        return await self._record(rebalance_id, ordinals, claims, outcomes.__getitem__)

    async def record_block(
        self, rebalance_id: str, ordinals: range, outcome: BlockOutcome
    ) -> StoredCounts:
        """Store outcomes in columns, and beside as the block says; return the counts stored now.

        An error beside is raised, because only the caller can say which outcome it makes.
        """
        if len(ordinals) != len(outcome.portfolio_ids):
            raise ValueError(f"{len(outcome.portfolio_ids)} outcomes, {len(ordinals)} ordinals")

        def claims(rows: range) -> Iterator[Document]:
            return column_documents(rebalance_id, ordinals.start, outcome, rows)

        def beside(row: int) -> PortfolioOutcome:
            answer = outcome.outcome(row)
            if isinstance(answer, OptimizationError):
                raise answer
            return answer

        return await self._record(rebalance_id, ordinals, claims, beside)

    async def _record(
        self,
        rebalance_id: str,
        ordinals: range,
        claims: Claims,
        outcome: Callable[[int], PortfolioOutcome],
    ) -> StoredCounts:
        are_new, status = True, np.full(len(ordinals), BESIDE, dtype=np.int8)
        if not await self._is_in_documents(rebalance_id):
            status, are_new = await self._claim(rebalance_id, ordinals, claims)
        beside = np.flatnonzero(status == BESIDE).tolist()
        outcomes, places = [outcome(row) for row in beside], [ordinals[row] for row in beside]
        stored = await self._record_beside(rebalance_id, places, outcomes)
        counts = StoredCounts(
            {Status(name): count for name, count in count_statuses(status).items()}
        )
        counts.update(stored)
        counts.are_new = are_new and stored.are_new
        return counts

    async def _is_in_documents(self, rebalance_id: str) -> bool:
        """True if an earlier release began the rebalance; the rest is then stored as it began."""
        if rebalance_id in self._in_chunks:
            return False
        of_rebalance = {"_id": ids_of(rebalance_id)}
        # Documents first, because those beside are written after their columns.
        has_documents = await self._outcomes.find_one(of_rebalance, {"_id": 1}) is not None
        if has_documents and await self._chunks.find_one(of_rebalance, {"_id": 1}) is None:
            return True
        self._in_chunks.append(rebalance_id)
        return False

    async def _claim(
        self, rebalance_id: str, ordinals: range, claims: Claims
    ) -> tuple[Statuses, bool]:
        """Insert documents for the rows that are in none.

        Returns the statuses that are stored, and whether all of them are new.
        """
        are_new, status = True, np.full(len(ordinals), UNCLAIMED, dtype=np.int8)
        while gaps := _gaps(status):
            documents = [document for gap in gaps for document in claims(gap)]
            try:
                await self._chunks.insert_many(documents, ordered=False)
            except BulkWriteError as error:
                if not is_repetition(error):
                    raise
                are_new = False
                status = await self._stored_statuses(rebalance_id, ordinals)
                if _gaps(status) == gaps:  # because a portfolio has two places in the rebalance
                    raise
            else:
                for document in documents:
                    _fill(status, ordinals, document)
        return status, are_new

    async def _stored_statuses(self, rebalance_id: str, ordinals: range) -> Statuses:
        status = np.full(len(ordinals), UNCLAIMED, dtype=np.int8)
        stored = self._chunks.find(covering(rebalance_id, ordinals), {"status.data": 1})
        async for document in stored:
            _fill(status, ordinals, document)
        return status

    async def _record_beside(
        self, rebalance_id: str, ordinals: Sequence[int], outcomes: Sequence[PortfolioOutcome]
    ) -> StoredCounts:
        are_new = True
        for batch in outcome_batches(rebalance_id, ordinals, outcomes):
            try:
                await self._outcomes.insert_many(batch, ordered=False)
            except BulkWriteError as error:
                if not is_repetition(error):
                    raise
                are_new = False
        if are_new:
            return StoredCounts(outcome.status for outcome in outcomes)
        ids = {"$in": [outcome_id(rebalance_id, ordinal) for ordinal in ordinals]}
        counts = StoredCounts(await count_documents(self._outcomes, ids))
        counts.are_new = False
        return counts


def _gaps(status: Statuses) -> list[range]:
    """Find the stretches of rows that are unclaimed."""
    rows = np.flatnonzero(status == UNCLAIMED).tolist()
    stretches = groupby(enumerate(rows), lambda numbered: numbered[1] - numbered[0])
    found = [[row for _, row in stretch] for _, stretch in stretches]
    return [range(each[0], each[-1] + 1) for each in found]


def _fill(status: Statuses, ordinals: range, document: Document) -> None:
    """Set the statuses of the rows that a document of columns has."""
    stored = status_from(document)
    first = ordinal_of(document["_id"]) - ordinals.start
    start, end = max(first, 0), min(first + len(stored), len(status))
    status[start:end] = stored[start - first : end - first]
