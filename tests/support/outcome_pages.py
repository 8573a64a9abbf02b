"""Pages of outcomes in columns, as a reader of the database gets them, and as objects."""

from typing import Any

import bson
from bson.codec_options import CodecOptions

from optimization import BESIDE, BlockOutcome, PortfolioOutcome
from storage.mongo.decimal_codec import TYPE_REGISTRY
from storage.rebalances.outcome_columns import count_rows_per_document, decode_block, encode_rows
from storage.rebalances.outcome_reader import OutcomePage

OPTIONS: CodecOptions[dict[str, Any]] = CodecOptions(type_registry=TYPE_REGISTRY)
REBALANCE = "5" * 24


def store_and_read_page(
    answers: BlockOutcome, first: int = 0, ordinals: range | None = None
) -> OutcomePage:
    """Store a block whose first row has the ordinal ``first``, and read a page of these ordinals.

    An error beside has no outcome.
    """
    ordinals = range(first, first + len(answers)) if ordinals is None else ordinals
    step = count_rows_per_document(len(answers.securities))
    documents = [
        encode_rows(REBALANCE, first + at, answers, slice(at, at + step))
        for at in range(0, len(answers), step)
    ]
    texts = [bson.encode(document, codec_options=OPTIONS) for document in documents]
    blocks = [decode_block(bson.decode(text, OPTIONS), answers.securities) for text in texts]
    beside = {start + row for start, block in blocks for row in _beside(block)}
    outcomes_by_ordinal = [
        (at, answers.outcome(at - first)) for at in sorted(beside.intersection(ordinals))
    ]
    objects = tuple(
        (at, outcome)
        for at, outcome in outcomes_by_ordinal
        if isinstance(outcome, PortfolioOutcome)
    )
    return OutcomePage(ordinals, tuple(blocks), objects)


def list_outcomes(page: OutcomePage) -> list[PortfolioOutcome]:
    """Make every outcome of a page an object, in order."""
    outcomes: dict[int, Any] = dict(page.objects)
    for start, block in page.blocks:
        outcomes |= {
            start + row: block.outcome(row) for row in page.find_rows(start, block).tolist()
        }
    return [outcomes[ordinal] for ordinal in sorted(outcomes)]


def _beside(block: BlockOutcome) -> list[int]:
    return [row for row, status in enumerate(block.status.tolist()) if status == BESIDE]
