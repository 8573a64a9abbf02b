"""Rebalances in MongoDB: a document for each rebalance, and the outcomes of its portfolios."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final, NoReturn

from bson import ObjectId
from pymongo import ReturnDocument
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import BulkWriteError, DuplicateKeyError

from optimization import BlockOutcome, PortfolioOutcome, Status
from storage.audit.author import FindAuthor, find_no_author
from storage.audit.trail import (
    Action,
    AuditTrail,
    build_insert_fields,
    build_update_fields,
    quote_values,
)
from storage.errors import NotFoundError, StaleVersionError
from storage.idempotency_store import ClaimTransactions, IdempotencyClaim
from storage.mongo.connection import (
    Document,
    require_object_id,
    run_transaction,
    translate_failures,
)
from storage.mongo.decimal_codec import to_milliseconds
from storage.mongo.sorting import DESCENDING, Sort, build_sort_order
from storage.options import OWN_OPTIONS
from storage.rebalances.last_outcomes import LastOutcome, list_last_outcomes
from storage.rebalances.outcome_causes import Causes, list_causes
from storage.rebalances.outcome_counts import count_by_status, count_transactions
from storage.rebalances.outcome_reader import OutcomePage, OutcomeReader
from storage.rebalances.outcome_recorder import OutcomeRecorder, StoredCounts
from storage.rebalances.outcome_search import OutcomeFilter, OutcomeSearch
from storage.rebalances.outcome_totals import OutcomeTotals, total_outcomes
from storage.rebalances.outcomes import COLLECTION as OUTCOMES
from storage.rebalances.outcomes import (
    SecurityEncoder,
    encode_outcome_batches,
    encode_outcome_fields,
    is_repetition,
)
from storage.rebalances.rebalance import (
    COLLECTION,
    OUTCOME,
    Rebalance,
    RebalanceStatus,
    decode_rebalance,
    encode_rebalance,
    may_hold_outcome,
)
from storage.rebalances.removal import RebalanceRemoval
from storage.rebalances.trade_search import TradeFilter, TradePage, TradeSearch
from storage.rebalances.trade_totals import TradeTotals, TradeTotalsReader

SORT_FIELDS: Final = {
    "rebalance_id": "_id",
    "model_name": "model_name",
    "rebalance_date": "started_at",
    "number_of_portfolios": "number_of_portfolios",
}
NEWEST_FIRST: Final = (("rebalance_date", DESCENDING),)
BUT_OUTCOME: Final = {OUTCOME: 0}  # because OutcomeReader reads the outcome
BUT_OWN_OPTIONS: Final = {**BUT_OUTCOME, OWN_OPTIONS: 0}  # megabytes that only a run needs
# The most positions and other holdings of an outcome inside the document of its rebalance, because
# a document has at most 16 MB; a larger outcome has a document of its own.
MAX_POSITIONS_WITHIN: Final = 10_000


class RebalanceStore:
    """The stored rebalances of one database, with the outcomes of their portfolios."""

    def __init__(
        self,
        database: AsyncDatabase[Document],
        find_author: FindAuthor = find_no_author,
        removal: RebalanceRemoval | None = None,
    ) -> None:
        self._rebalances = database[COLLECTION]
        self._trail = AuditTrail(database, find_author)
        self._removal = removal or RebalanceRemoval(self._rebalances, self._trail)
        self._outcomes = database[OUTCOMES]
        self._recorder = OutcomeRecorder(database)
        self._reader = OutcomeReader(database)
        self._search = OutcomeSearch(database)
        self._trade_search = TradeSearch(database)
        self._trade_totals = TradeTotalsReader(database)
        self._claims = ClaimTransactions(database)
        # The store keeps one encoder, because the rebalances of a model share its securities for
        # as long as its prices.
        self._security_encoder = SecurityEncoder()

    @translate_failures
    async def open(self, rebalance: Rebalance) -> Rebalance:
        """Store a rebalance before its first outcome, and return the stored rebalance.

        A process that resumes a rebalance continues with the returned one, because it has the
        prices of the first process.
        """
        try:
            await self._rebalances.insert_one(encode_rebalance(rebalance))
        except DuplicateKeyError:
            return await self.read(rebalance.rebalance_id)
        return replace(rebalance, started_at=to_milliseconds(rebalance.started_at))

    @translate_failures
    async def record(
        self,
        rebalance_id: str,
        ordinals: range,
        outcomes: Sequence[PortfolioOutcome],
        grid: range | None = None,
    ) -> StoredCounts:
        """Store the outcomes of the portfolios with these ordinals; stored outcomes stay.

        ``grid`` has the first ordinals of the documents of columns, which all writers of these
        portfolios have to agree on. Ordinals without a grid are a chunk of their own.

        Returns the counts of the outcomes that are stored now for these ordinals.
        """
        return await self._recorder.record(rebalance_id, ordinals, outcomes, grid)

    @translate_failures
    async def record_block(
        self, rebalance_id: str, ordinals: range, outcome: BlockOutcome, grid: range | None = None
    ) -> StoredCounts:
        """Store the outcomes of a block in columns, under these ordinals; stored outcomes stay.

        ``grid`` is the grid of ``record``. Only whole documents of the grid are stored in columns.

        Returns the counts of the outcomes that are stored now for these ordinals. An error in
        ``outcome.beside`` is raised, because only the caller can say which outcome it makes.
        """
        return await self._recorder.record_block(rebalance_id, ordinals, outcome, grid)

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
        """Store a finished rebalance with all its outcomes, in one document or one transaction.

        The same transaction completes the claim. Raises IdempotencyInProgressError if the claim was
        lost.
        """
        record = _make_record(self._trail, rebalance, rebalance.status, rebalance.counts)
        document = encode_rebalance(rebalance, self._security_encoder) | build_insert_fields(record)
        is_whole = may_hold_outcome(rebalance) and _is_small(outcomes)
        if is_whole:
            (outcome,) = outcomes
            document[OUTCOME] = encode_outcome_fields(outcome, self._security_encoder)
        apart = () if is_whole else outcomes

        async def insert(session: AsyncClientSession | None) -> None:
            for batch in encode_outcome_batches(rebalance.rebalance_id, range(len(apart)), apart):
                await self._outcomes.insert_many(batch, session=session)
            await self._rebalances.insert_one(document, session=session)
            if claim is not None and session is not None:
                await self._claims.complete(claim, rebalance.rebalance_id, session)

        try:
            if is_whole and claim is None:
                await insert(None)  # because one document is atomic, at a third of the time
            else:
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
        totals = await count_by_status(self._rebalances.database, rebalance_id)
        counts = {status.value: count for status, count in totals.items()}
        fields = {"status": status.value, "counts": counts, "finished_at": finished_at}
        record = _make_record(self._trail, await self.read(rebalance_id), status, totals)
        document = await self._rebalances.find_one_and_update(
            {
                "_id": require_object_id("rebalance_id", rebalance_id),
                "status": {"$ne": RebalanceStatus.COMPLETED.value},
            },
            [{"$set": quote_values(fields) | build_update_fields(record)}],
            projection=BUT_OUTCOME,
            return_document=ReturnDocument.AFTER,
        )
        return await self.read(rebalance_id) if document is None else decode_rebalance(document)

    @translate_failures
    async def read(self, rebalance_id: str) -> Rebalance:
        """Return the rebalance with this id."""
        key = {"_id": require_object_id("rebalance_id", rebalance_id)}
        document = await self._rebalances.find_one(key, BUT_OUTCOME)
        if document is None:
            raise NotFoundError("rebalance", rebalance_id)
        return decode_rebalance(document)

    @translate_failures
    async def read_page(
        self, offset: int = 0, limit: int | None = None, sort: Sort = ()
    ) -> tuple[tuple[Rebalance, ...], int]:
        """Return a page of rebalances, by default the newest first, and their number."""
        return await self._read_page({}, offset, limit, sort)

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
        query: Document = {"run_id": ObjectId(run_id)}
        if after is not None:
            query["_id"] = {"$gt": ObjectId(after)}
        hidden = BUT_OUTCOME if with_own_options else BUT_OWN_OPTIONS
        cursor = self._rebalances.find(query, hidden, sort=[("_id", 1)], limit=limit)
        return tuple([decode_rebalance(document) async for document in cursor])

    @translate_failures
    async def list_part_ids(self, run_id: str, limit: int) -> tuple[str, ...]:
        """Return the ids of the first rebalances of a run."""
        query = {"run_id": ObjectId(run_id)}
        cursor = self._rebalances.find(query, {"_id": 1}, sort=[("_id", 1)], limit=limit)
        return tuple([str(document["_id"]) async for document in cursor])

    @translate_failures
    async def forget_parts(self, run_id: str) -> None:
        """Remove the rebalances of a run with their outcomes."""
        await self._removal.remove_parts(run_id)

    @translate_failures
    async def finish_removals(self, before: datetime) -> None:
        """Finish the interrupted removals that began before a moment."""
        await self._removal.finish(before)

    @translate_failures
    async def list_older_than(self, moment: datetime, limit: int) -> tuple[Rebalance, ...]:
        """Return at most ``limit`` rebalances that began before this moment."""
        cursor = self._rebalances.find(
            {"started_at": {"$lt": moment}}, BUT_OWN_OPTIONS, limit=limit
        )
        return tuple([decode_rebalance(document) async for document in cursor])

    @translate_failures
    async def read_page_of_portfolios(
        self, portfolio_ids: Sequence[str], offset: int, limit: int
    ) -> tuple[tuple[tuple[Rebalance, int], ...], int]:
        """Return the rebalances of any of these portfolios, the newest first, and their number.

        Each rebalance comes with the number of the portfolios that it has.
        """
        counts = await self._reader.count_by_rebalance(portfolio_ids)
        query = {"_id": {"$in": [ObjectId(rebalance_id) for rebalance_id in counts]}}
        page, total = await self._read_page(query, offset, limit, ())
        ids = [rebalance.rebalance_id for rebalance in page]
        counts += await self._reader.count_in_columns(ids, portfolio_ids)
        return tuple((rebalance, counts[rebalance.rebalance_id]) for rebalance in page), total

    @translate_failures
    async def list_outcomes_among(
        self, rebalance: Rebalance, portfolio_ids: Sequence[str], offset: int, limit: int
    ) -> tuple[PortfolioOutcome, ...]:
        """Return a page of the outcomes of these portfolios in the rebalance, by ordinal."""
        return await self._reader.read_portfolio_page(rebalance, portfolio_ids, offset, limit)

    @translate_failures
    async def list_outcomes(
        self, rebalance: Rebalance, offset: int = 0, limit: int | None = None
    ) -> tuple[PortfolioOutcome, ...]:
        """Return the stored outcomes with the ordinals offset .. offset + limit - 1, in order."""
        end = rebalance.number_of_portfolios
        end = end if limit is None else min(end, offset + limit)
        return await self._reader.read_ordinals(rebalance, range(offset, end))

    @translate_failures
    async def read_outcome_page(self, rebalance: Rebalance, first: int) -> OutcomePage:
        """Return a page of the stored outcomes from this ordinal on, in columns if stored so."""
        return await self._reader.read_page(rebalance, first)

    @translate_failures
    async def read_outcome(self, rebalance: Rebalance, portfolio_id: str) -> PortfolioOutcome:
        """Return the outcome of one portfolio in the rebalance."""
        return (await self.list_portfolio_outcomes(rebalance, (portfolio_id,)))[0]

    @translate_failures
    async def list_portfolio_outcomes(
        self, rebalance: Rebalance, portfolio_ids: Sequence[str]
    ) -> tuple[PortfolioOutcome, ...]:
        """Return the outcomes of these portfolios in the rebalance, by ordinal."""
        outcomes = await self._reader.read_portfolios(rebalance, portfolio_ids)
        missing = set(portfolio_ids).difference(outcome.portfolio_id for outcome in outcomes)
        if missing:
            raise NotFoundError("portfolio in this rebalance", min(missing))
        return outcomes

    @translate_failures
    async def search_outcomes(
        self, rebalance: Rebalance, criteria: OutcomeFilter, sort: Sort, offset: int, limit: int
    ) -> tuple[tuple[PortfolioOutcome, ...], int]:
        """Return a page of the outcomes that match, and the number of all that do."""
        return await self._search.read_page(rebalance, criteria, sort, offset, limit)

    @translate_failures
    async def total_outcomes(self, rebalance: Rebalance) -> OutcomeTotals:
        """Add up the amounts of all outcomes of the rebalance."""
        return await total_outcomes(self._rebalances.database, rebalance)

    @translate_failures
    async def search_trades(
        self, rebalance: Rebalance, criteria: TradeFilter, sort: Sort, offset: int, limit: int
    ) -> tuple[TradePage, int]:
        """Return a page of the trades that match, and the number of all that do."""
        return await self._trade_search.read_page(rebalance, criteria, sort, offset, limit)

    @translate_failures
    async def total_trades(self, rebalance: Rebalance, criteria: TradeFilter) -> TradeTotals:
        """Add up the trades that match."""
        return await self._trade_totals.read(rebalance, criteria)

    @translate_failures
    async def list_causes(self, rebalance_ids: Sequence[str]) -> Causes:
        """Return why portfolios of these rebalances have no plan."""
        return await list_causes(self._rebalances.database, rebalance_ids)

    @translate_failures
    async def list_last_outcomes(self, portfolio_ids: Sequence[str]) -> tuple[LastOutcome, ...]:
        """Return the newest outcome of each portfolio that has one, in the order of the ids."""
        return await list_last_outcomes(self._rebalances.database, portfolio_ids)

    @translate_failures
    async def count_transactions(self, rebalance_id: str) -> int:
        """Count the transactions of all portfolios of the rebalance."""
        return await count_transactions(self._rebalances.database, rebalance_id)

    @translate_failures
    async def delete(self, rebalance_id: str, version: int) -> None:
        """Remove a rebalance and its outcomes if ``version`` is still the stored version."""
        key = str(require_object_id("rebalance_id", rebalance_id))
        if not await self._removal.remove(key, version):
            await self._raise_why_unmatched(rebalance_id, version)

    async def _read_page(
        self, query: Document, offset: int, limit: int | None, sort: Sort
    ) -> tuple[tuple[Rebalance, ...], int]:
        order = build_sort_order(sort, SORT_FIELDS, NEWEST_FIRST)
        total = await self._rebalances.count_documents(query, hint="_id_")
        if limit == 0:  # because MongoDB takes 0 for no limit
            return (), total
        skip, limit = offset, limit or 0
        cursor = self._rebalances.find(query, BUT_OWN_OPTIONS, sort=order, skip=skip, limit=limit)
        return tuple([decode_rebalance(document) async for document in cursor]), total

    async def _raise_why_unmatched(self, rebalance_id: str, version: int) -> NoReturn:
        rebalance = await self.read(rebalance_id)
        raise StaleVersionError("rebalance", rebalance_id, version, rebalance.version)


def _is_small(outcomes: Sequence[PortfolioOutcome]) -> bool:
    return sum(len(outcome.before) for outcome in outcomes) <= MAX_POSITIONS_WITHIN


def _make_record(
    trail: AuditTrail, rebalance: Rebalance, status: RebalanceStatus, counts: Mapping[Status, int]
) -> Document:
    """Make the record of the end of a rebalance."""
    diff = {
        "status": status.value,
        "model_id": rebalance.model_id,
        "model_version": rebalance.model_version,
        "number_of_portfolios": rebalance.number_of_portfolios,
        "counts": {outcome.value: count for outcome, count in counts.items()},
        "run_id": rebalance.run_id,
    }
    return trail.record(
        Action.REBALANCE_STORED, rebalance.rebalance_id, rebalance.version, diff=diff
    )
