"""Totals of the amounts of a rebalance: exact sums over its portfolios, without reading shares."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Final

import numpy as np
from bson import ObjectId
from numpy.typing import NDArray
from pymongo import timeout
from pymongo.asynchronous.database import AsyncDatabase

from optimization import BESIDE, EXACT, PortfolioOutcome, ScaledColumn
from storage.mongo.column_codec import decode_column
from storage.mongo.connection import WRITER_TIMEOUT_S, Document
from storage.mongo.decimal_codec import decode_decimal
from storage.rebalances.outcome_columns import AMOUNTS, decode_statuses
from storage.rebalances.outcome_columns import COLLECTION as OUTCOME_CHUNKS
from storage.rebalances.outcome_reader import OutcomeReader
from storage.rebalances.outcomes import COLLECTION as OUTCOMES
from storage.rebalances.outcomes import build_id_range, parse_ordinal
from storage.rebalances.rebalance import Rebalance, may_hold_outcome

DOCUMENT_BATCH_SIZE: Final = 1_000  # because the event loop waits while a batch is added up
FIELDS: Final = dict.fromkeys(AMOUNTS, 1)


@dataclass(slots=True)
class OutcomeTotals:
    """Exact sums in currency over the outcomes that have the amount.

    ``portfolios`` is the number of outcomes with a market value.
    """

    portfolios: int = 0
    market_value: Decimal = Decimal(0)
    cash_before: Decimal = Decimal(0)
    cash_after: Decimal = Decimal(0)
    objective: Decimal = Decimal(0)

    def add(self, name: str, amount: Decimal) -> None:
        """Add an amount to the sum of this name."""
        setattr(self, name, EXACT.add(getattr(self, name), amount))

    def add_outcome(self, outcome: PortfolioOutcome) -> None:
        """Add the amounts of a portfolio."""
        self.portfolios += outcome.market_value is not None
        for name in AMOUNTS:
            source = outcome.certificate if name == "objective" else outcome
            amount: Decimal | None = getattr(source, name, None)
            if amount is not None:
                self.add(name, amount)


async def total_outcomes(database: AsyncDatabase[Document], rebalance: Rebalance) -> OutcomeTotals:
    """Add up the amounts of a rebalance; while it runs, of the outcomes stored so far."""
    totals = OutcomeTotals()
    with timeout(WRITER_TIMEOUT_S):
        if may_hold_outcome(rebalance):
            for outcome in await OutcomeReader(database).read_ordinals(rebalance, range(1)):
                totals.add_outcome(outcome)
            return totals
        is_in_columns = np.zeros(rebalance.number_of_portfolios, np.bool_)
        query = {"rebalance_id": ObjectId(rebalance.rebalance_id)}
        async for document in database[OUTCOME_CHUNKS].find(query, {"status": 1, **FIELDS}):
            rows = np.flatnonzero(decode_statuses(document) != BESIDE)
            is_in_columns[parse_ordinal(document["_id"]) + rows] = True
            _add_rows(totals, document, rows)
        documents = database[OUTCOMES].find(
            {"_id": build_id_range(rebalance.rebalance_id)}, FIELDS, batch_size=DOCUMENT_BATCH_SIZE
        )
        async for document in documents:
            # Columns win over a document, as in OutcomeReader, because a repeated chunk may have
            # left both.
            if not is_in_columns[parse_ordinal(document["_id"])]:
                _add_document(totals, document)
    return totals


def _add_rows(totals: OutcomeTotals, document: Document, rows: NDArray[np.intp]) -> None:
    if not len(rows):
        return  # because a claim has no columns
    totals.portfolios += len(rows)
    for name in AMOUNTS:
        if name in document:
            totals.add(name, _sum_column(decode_column(document[name]).select(rows)))


def _sum_column(column: ScaledColumn) -> Decimal:
    # Python integers, because the sum of int64 numbers may overflow int64.
    return EXACT.scaleb(Decimal(sum(column.units.tolist())), -column.decimals)


def _add_document(totals: OutcomeTotals, document: Document) -> None:
    totals.portfolios += "market_value" in document
    for name in AMOUNTS:
        if name in document:
            totals.add(name, decode_decimal(document[name]))
