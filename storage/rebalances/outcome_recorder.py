"""Recorder of the outcomes of runs: columns of many portfolios, and documents of single ones.

A grid, which all writers of a chunk share, divides its portfolios into documents of columns. The
first writer to insert a document fixes the status of its portfolios: the status of the outcome, or
BESIDE for an outcome stored as a document of its own in ``outcomes``. A writer that has only a part
of a document of columns inserts the document without columns (a claim), and all its outcomes are
BESIDE. A repeated write changes no document; it only adds missing documents to ``outcomes``,
however the first writer ended.
"""

from collections import Counter, deque
from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import BulkWriteError

from optimization import BESIDE, BlockOutcome, OptimizationError, PortfolioOutcome, Status
from storage.mongo.connection import Document
from storage.rebalances.outcome_columns import COLLECTION as OUTCOME_CHUNKS
from storage.rebalances.outcome_columns import (
    MAX_ROWS,
    Statuses,
    build_covering_filter,
    count_rows_per_document,
    count_statuses,
    decode_statuses,
    encode_claim,
    encode_rows,
)
from storage.rebalances.outcome_counts import count_documents
from storage.rebalances.outcomes import COLLECTION as OUTCOMES
from storage.rebalances.outcomes import (
    build_id_range,
    build_outcome_id,
    encode_outcome_batches,
    is_repetition,
    parse_ordinal,
)

MAX_REMEMBERED_REBALANCES: Final = 64  # a process writes to a few of them in turn


class StoredCounts(Counter[Status]):
    """Number of stored outcomes by status.

    ``are_new`` is False if an outcome was stored before the call that counts the outcomes.
    """

    are_new: bool = True


class OutcomeRecorder:
    """Writer of the outcomes of runs, safe against repeats and other writers."""

    def __init__(self, database: AsyncDatabase[Document]) -> None:
        self._outcomes = database[OUTCOMES]
        self._chunks = database[OUTCOME_CHUNKS]
        self._in_chunks = deque[str](maxlen=MAX_REMEMBERED_REBALANCES)

    async def record(
        self,
        rebalance_id: str,
        ordinals: range,
        outcomes: Sequence[PortfolioOutcome],
        grid: range | None = None,
    ) -> StoredCounts:
        """Store outcomes as documents of their own; return the counts that are stored now."""
        if len(ordinals) != len(outcomes):
            raise ValueError(f"{len(outcomes)} outcomes, {len(ordinals)} ordinals")
        grid = grid or range(ordinals.start, ordinals.stop, MAX_ROWS)
        claims = [
            encode_claim(rebalance_id, stretch) for stretch in _list_stretches(ordinals, grid)
        ]
        return await self._record(rebalance_id, ordinals, claims, outcomes.__getitem__)

    async def record_block(
        self, rebalance_id: str, ordinals: range, outcome: BlockOutcome, grid: range | None = None
    ) -> StoredCounts:
        """Store outcomes in columns, those BESIDE as documents; return the counts stored now.

        An error in ``outcome.beside`` is raised, because only the caller can turn it into an
        outcome.
        """
        if len(ordinals) != len(outcome.portfolio_ids):
            raise ValueError(f"{len(outcome.portfolio_ids)} outcomes, {len(ordinals)} ordinals")
        step = count_rows_per_document(len(outcome.securities))
        grid = grid or range(ordinals.start, ordinals.stop, step)

        def build_document(stretch: range) -> Document:
            if stretch.start < ordinals.start or stretch.stop > ordinals.stop:
                return encode_claim(rebalance_id, stretch)
            rows = slice(stretch.start - ordinals.start, stretch.stop - ordinals.start)
            return encode_rows(rebalance_id, stretch.start, outcome, rows)

        def read_outcome(row: int) -> PortfolioOutcome:
            answer = outcome.outcome(row)
            if isinstance(answer, OptimizationError):
                raise answer
            return answer

        documents = [build_document(stretch) for stretch in _list_stretches(ordinals, grid)]
        return await self._record(rebalance_id, ordinals, documents, read_outcome)

    async def _record(
        self,
        rebalance_id: str,
        ordinals: range,
        documents: Sequence[Document],
        outcome: Callable[[int], PortfolioOutcome],
    ) -> StoredCounts:
        are_new, status = True, np.full(len(ordinals), BESIDE, dtype=np.int8)
        if documents and not await self._is_in_documents(rebalance_id):
            are_new = await self._insert(rebalance_id, ordinals, documents, status)
        beside = np.flatnonzero(status == BESIDE).tolist()
        outcomes, places = [outcome(row) for row in beside], [ordinals[row] for row in beside]
        apart = await self._record_beside(rebalance_id, places, outcomes)
        counts = StoredCounts(
            {Status(name): count for name, count in count_statuses(status).items()}
        )
        counts.update(apart)
        counts.are_new = are_new and apart.are_new
        return counts

    async def _is_in_documents(self, rebalance_id: str) -> bool:
        """Whether an earlier release started the rebalance, which then has documents alone."""
        if rebalance_id in self._in_chunks:
            return False
        of_rebalance = {"_id": build_id_range(rebalance_id)}
        # Documents are looked up first, because a writer inserts columns before documents.
        has_documents = await self._outcomes.find_one(of_rebalance, {"_id": 1}) is not None
        if has_documents and await self._chunks.find_one(of_rebalance, {"_id": 1}) is None:
            return True
        self._in_chunks.append(rebalance_id)
        return False

    async def _insert(
        self,
        rebalance_id: str,
        ordinals: range,
        documents: Sequence[Document],
        status: Statuses,
    ) -> bool:
        """Insert documents of columns unless they exist; return whether all of them are new.

        The stored statuses are written to ``status``. A row that no document covers stays BESIDE,
        because an earlier release used another grid.
        """
        chunks, are_new = documents, True
        try:
            await self._chunks.insert_many(documents, ordered=False)
        except BulkWriteError as error:
            if not is_repetition(error):
                raise
            are_new = False
            cursor = self._chunks.find(
                build_covering_filter(rebalance_id, ordinals), {"status.data": 1}
            )
            chunks = await cursor.to_list()
        for document in chunks:
            _fill_statuses(status, ordinals, document)
        return are_new

    async def _record_beside(
        self, rebalance_id: str, ordinals: Sequence[int], outcomes: Sequence[PortfolioOutcome]
    ) -> StoredCounts:
        are_new = True
        for batch in encode_outcome_batches(rebalance_id, ordinals, outcomes):
            try:
                await self._outcomes.insert_many(batch, ordered=False)
            except BulkWriteError as error:
                if not is_repetition(error):
                    raise
                are_new = False
        if are_new:
            return StoredCounts(outcome.status for outcome in outcomes)
        ids = {"$in": [build_outcome_id(rebalance_id, ordinal) for ordinal in ordinals]}
        counts = StoredCounts(await count_documents(self._outcomes, ids))
        counts.are_new = False
        return counts


def _list_stretches(ordinals: range, grid: range) -> list[range]:
    """List the documents of the grid that have any of the ordinals, each as its ordinals.

    >>> _list_stretches(range(150, 250), range(0, 300, 100))
    [range(100, 200), range(200, 300)]
    """
    stretches = [range(first, min(first + grid.step, grid.stop)) for first in grid]
    return [
        stretch
        for stretch in stretches
        if stretch.start < ordinals.stop and stretch.stop > ordinals.start
    ]


def _fill_statuses(status: Statuses, ordinals: range, document: Document) -> None:
    """Set the statuses of the rows that a document of columns has."""
    statuses = decode_statuses(document)
    first = parse_ordinal(document["_id"]) - ordinals.start
    start, end = max(first, 0), min(first + len(statuses), len(status))
    status[start:end] = statuses[start - first : end - first]
