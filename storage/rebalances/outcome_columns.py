"""Outcomes of many portfolios as one document of columns, and the conversion back to arrays.

A column is one binary (mongo/column_codec.py).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Final

import numpy as np
from bson import ObjectId
from bson.binary import Binary
from numpy.typing import NDArray

from optimization import (
    BESIDE,
    METHODS,
    STATUSES,
    BindingRows,
    BlockOutcome,
    OtherHoldings,
    PricedTarget,
    ScaledColumn,
)
from storage.mongo.column_codec import (
    DECIMAL128_BYTES,
    decode_column,
    encode_column,
    is_too_wide,
)
from storage.mongo.connection import Document
from storage.mongo.decimal_codec import decode_decimal
from storage.rebalances.outcomes import build_outcome_id, parse_ordinal

COLLECTION = "outcome_chunks"
MAX_ROWS: Final = 512  # portfolios in a document, because a reader of one row reads all rows
MAX_COLUMN_BYTES: Final = 8 * 2**20  # half of what MongoDB allows a document
MAX_OTHERS: Final = 65_536  # holdings outside the model in a document: 6 MB with ids and prices
MAX_BINDING: Final = 65_536  # binding constraints in a document: 4 MB with their names
ID_BYTES: Final = 64  # a portfolio id with its status, at most
AMOUNTS: Final = ("market_value", "cash_before", "cash_after", "objective")
SHARES: Final = ("before", "after")

NO_METHODS: Final = np.zeros(0, dtype=np.int8)

Statuses = NDArray[np.int8]


def count_rows_per_document(securities: int) -> int:
    """Count the portfolios that fit a document, whatever their amounts, so that repeats agree.

    >>> count_rows_per_document(50), count_rows_per_document(5_000)
    (512, 52)
    """
    widest = DECIMAL128_BYTES * (len(AMOUNTS) + len(SHARES) * securities) + ID_BYTES
    return max(1, min(MAX_ROWS, MAX_COLUMN_BYTES // widest))


def encode_rows(rebalance_id: str, first: int, outcome: BlockOutcome, rows: slice) -> Document:
    """Convert rows of a block to a document; ``first`` is the ordinal of the first row."""
    block = _Rows(outcome, rows)
    document = encode_claim(rebalance_id, range(first, first + len(block.ids)))
    document["ids"] = list(block.ids)
    return document if np.all(block.is_beside) else document | block.encode_fields()


def encode_claim(rebalance_id: str, ordinals: range) -> Document:
    """Build the document of portfolios whose outcomes are all BESIDE."""
    status = np.full(len(ordinals), BESIDE, dtype=np.int8)
    return {
        "_id": build_outcome_id(rebalance_id, ordinals.start),
        "rebalance_id": ObjectId(rebalance_id),
        "end": ordinals.stop,
        "ids": [],  # because the documents of the outcomes have them
        "counts": {},
        "transactions": 0,
        "status": _encode_places(status, STATUSES),
    }


def decode_block(
    document: Document, securities: tuple[PricedTarget, ...]
) -> tuple[int, BlockOutcome]:
    """Convert a document to the ordinal of its first row and its arrays.

    ``securities`` are the rows of the rebalance's model. ``beside`` is empty, because the outcomes
    of BESIDE rows are documents of their own.
    """
    status = decode_statuses(document)
    portfolio_ids = tuple(document["ids"]) or ("",) * len(status)  # a claim has no ids
    shapes = {name: (len(portfolio_ids),) for name in AMOUNTS}
    shapes |= {name: (len(portfolio_ids), len(securities)) for name in SHARES}
    columns = {
        name: decode_column(document[name]) if name in document else _make_zeros(shape)
        for name, shape in shapes.items()
    }
    block = BlockOutcome(
        securities=securities,
        portfolio_ids=portfolio_ids,
        status=status,
        **columns,
        others=_decode_other_holdings(document["others"])
        if "others" in document
        else OtherHoldings.none(),
        beside={},
        binding=_decode_binding(document["binding"])
        if "binding" in document
        else BindingRows.none(),
        # Absent if every plan is a separable optimum, and in documents of earlier releases.
        method=_decode_places(document["method"]) if "method" in document else NO_METHODS,
    )
    return parse_ordinal(document["_id"]), block


def decode_statuses(document: Document) -> Statuses:
    """Decode the status of each portfolio, as a place in ``STATUSES`` or ``BESIDE``."""
    return _decode_places(document["status"])


def build_covering_filter(rebalance_id: str, ordinals: range) -> Document:
    """Build the filter for the documents of a rebalance with any of the ordinals, not empty."""
    first = max(0, ordinals.start - MAX_ROWS + 1)
    ids = {
        "$gte": build_outcome_id(rebalance_id, first),
        "$lte": build_outcome_id(rebalance_id, ordinals.stop - 1),
    }
    return {"_id": ids, "end": {"$gt": ordinals.start}}


@dataclass(frozen=True)
class _Rows:
    """The rows of a block that become one document."""

    outcome: BlockOutcome
    rows: slice

    @property
    def ids(self) -> tuple[str, ...]:
        return self.outcome.portfolio_ids[self.rows]

    @cached_property
    def columns(self) -> Mapping[str, ScaledColumn]:
        names = (*AMOUNTS, *SHARES)
        return {name: getattr(self.outcome, name).select(self.rows) for name in names}

    @cached_property
    def others(self) -> OtherHoldings:
        return self.outcome.others.select(self.rows)

    @cached_property
    def binding(self) -> BindingRows:
        return self.outcome.binding.select(self.rows)

    @property
    def method(self) -> NDArray[np.int8]:
        """Place of each row's method in METHODS, 0 if the row is BESIDE; empty if all are 0."""
        method = self.outcome.method[self.rows]
        return np.where(self.is_beside, 0, method).astype(np.int8) if len(method) else method

    @cached_property
    def is_beside(self) -> NDArray[np.bool_]:
        """Whether each row is BESIDE, in the block or because it does not fit into the columns."""
        is_beside = self.outcome.status[self.rows] == BESIDE
        for entries, limit in ((self.others.rows, MAX_OTHERS), (self.binding.rows, MAX_BINDING)):
            counts = np.bincount(entries, minlength=len(self.ids))
            is_beside |= (counts > 0) & (np.cumsum(counts) > limit)
        for column in self.columns.values():
            is_beside |= is_too_wide(column).reshape(len(self.ids), -1).any(axis=1)
        is_beside[self.others.rows[is_too_wide(self.others.quantities)]] = True
        is_beside[self.binding.rows[is_too_wide(self.binding.slacks)]] = True
        return is_beside

    def encode_fields(self) -> Document:
        """Encode the fields that a claim lacks or has with other values."""
        is_beside, others, binding = self.is_beside, self.others, self.binding
        status = np.where(is_beside, BESIDE, self.outcome.status[self.rows]).astype(np.int8)
        columns = self.columns
        if np.any(is_beside):
            columns = {name: _clear_rows(column, is_beside) for name, column in columns.items()}
            others = _select_other_holdings(others, np.flatnonzero(~is_beside[others.rows]))
            binding = _select_binding(binding, np.flatnonzero(~is_beside[binding.rows]))
        fields: Document = {
            "counts": count_statuses(status),
            "transactions": int(self.outcome.transactions[self.rows][~is_beside].sum()),
            "status": _encode_places(status, STATUSES),
        }
        method = self.method
        fields |= {"method": _encode_places(method, METHODS)} if np.any(method) else {}
        fields |= {name: encode_column(column) for name, column in columns.items()}
        fields |= {"others": _encode_other_holdings(others)} if len(others.rows) else {}
        return fields | ({"binding": _encode_binding(binding)} if len(binding.rows) else {})


def count_statuses(status: Statuses) -> dict[str, int]:
    """Count the rows by the name of their status, without those that are BESIDE."""
    counts = np.bincount(status[status != BESIDE], minlength=len(STATUSES)).tolist()
    pairs = zip(STATUSES, counts, strict=True)
    return {outcome.value: count for outcome, count in pairs if count}


def _encode_places(places: NDArray[np.int8], members: Sequence[StrEnum]) -> Document:
    names = [member.value for member in members]
    return {"dtype": places.dtype.str, "shape": list(places.shape), "values": names} | {
        "data": Binary(places.tobytes())
    }


def _decode_places(document: Document) -> NDArray[np.int8]:
    return np.frombuffer(document["data"], dtype=np.int8)


def _clear_rows(column: ScaledColumn, rows: NDArray[np.bool_]) -> ScaledColumn:
    units = column.units.copy()
    units[rows] = 0
    return ScaledColumn(units, column.decimals, column.digits)


def _make_zeros(shape: tuple[int, ...]) -> ScaledColumn:
    return ScaledColumn(np.zeros(shape, dtype=np.int64), 0)


def _select_other_holdings(others: OtherHoldings, places: NDArray[np.intp]) -> OtherHoldings:
    columns = others.rows[places], others.securities[places], others.quantities.select(places)
    return OtherHoldings(*columns, others.ids, others.prices)


def _encode_other_holdings(others: OtherHoldings) -> Document:
    # The document has only the securities of its rows, because a block may have thousands.
    securities, places = np.unique(others.securities, return_inverse=True)
    return {
        "rows": encode_column(_make_whole_column(others.rows)),
        "securities": encode_column(_make_whole_column(places)),
        "quantities": encode_column(others.quantities),
        "ids": [others.ids[place] for place in securities.tolist()],
        "prices": [others.prices[place] for place in securities.tolist()],
    }


def _decode_other_holdings(document: Document) -> OtherHoldings:
    rows, securities, quantities = (
        decode_column(document[name]) for name in ("rows", "securities", "quantities")
    )
    return OtherHoldings(
        rows.units.astype(np.int32),
        securities.units.astype(np.int32),
        quantities,
        tuple(document["ids"]),
        tuple(map(decode_decimal, document["prices"])),
    )


def _select_binding(binding: BindingRows, places: NDArray[np.intp]) -> BindingRows:
    columns = binding.rows[places], binding.constraints[places], binding.slacks.select(places)
    return BindingRows(*columns, binding.names)


def _encode_binding(binding: BindingRows) -> Document:
    # The document has only the constraints of its rows, because a block may name thousands.
    constraints, places = np.unique(binding.constraints, return_inverse=True)
    return {
        "rows": encode_column(_make_whole_column(binding.rows)),
        "constraints": encode_column(_make_whole_column(places)),
        "slacks": encode_column(binding.slacks),
        "names": [binding.names[place] for place in constraints.tolist()],
    }


def _decode_binding(document: Document) -> BindingRows:
    rows, constraints, slacks = (
        decode_column(document[name]) for name in ("rows", "constraints", "slacks")
    )
    places = rows.units.astype(np.int32), constraints.units.astype(np.int32)
    return BindingRows(*places, slacks, tuple(document["names"]))


def _make_whole_column(places: NDArray[np.signedinteger]) -> ScaledColumn:
    return ScaledColumn(places.astype(np.int64), 0)
