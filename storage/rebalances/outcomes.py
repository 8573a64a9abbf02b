"""The document of one portfolio's outcome, and batches of such documents.

An outcome is small, because its rebalance holds the securities of the model once. The outcome has
two arrays of shares, aligned with the securities of the rebalance followed by ``other`` (holdings
outside the model).
"""

from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from operator import ne
from typing import Any, Final, TypeAlias, cast

from bson import CodecOptions, encode
from bson.raw_bson import RawBSONDocument
from pymongo.errors import BulkWriteError

from optimization import (
    Binding,
    Certificate,
    DriftBand,
    Edge,
    Method,
    OutsideBand,
    PortfolioOutcome,
    PricedTarget,
    Proof,
    Refusal,
    Status,
)
from storage.mongo.connection import Document, has_only_duplicates
from storage.mongo.decimal_codec import (
    MAX_INT64,
    TYPE_REGISTRY,
    decode_decimal,
    decode_weight,
    encode_weight,
    to_storable,
)

COLLECTION = "outcomes"
OUTCOME_BATCH_SIZE: Final = 1_000  # because more block the event loop for tenths of a second
MAX_PORTFOLIOS_PER_REBALANCE: Final = 10_000_000  # because an ordinal has seven digits
NO_VIOLATION: Final = Decimal("0.00")
MAX_ENCODED_SECURITIES: Final = 10_000  # about 8 MB
CODEC: Final = CodecOptions[dict[str, Any]](type_registry=TYPE_REGISTRY)

EncodeSecurity: TypeAlias = Callable[[PricedTarget], Mapping[str, Any]]


class allow_repetition:  # noqa: N801 - used as a statement
    """Context manager that accepts a failed insert if only its documents existed already."""

    def __enter__(self) -> None:
        """Do nothing, because only the exit matters."""

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> bool:
        """Swallow duplicate keys, nothing else."""
        return isinstance(error, BulkWriteError) and is_repetition(error)


def is_repetition(error: BulkWriteError) -> bool:
    """Whether an insert failed only because its documents existed already."""
    return not error.details["writeConcernErrors"] and has_only_duplicates(error)


def encode_outcome_batches(
    rebalance_id: str, ordinals: Sequence[int], outcomes: Sequence[PortfolioOutcome]
) -> Iterator[list[Document]]:
    """Yield the documents of outcomes in batches for one insert each."""
    for start in range(0, max(len(ordinals), len(outcomes)), OUTCOME_BATCH_SIZE):
        end = start + OUTCOME_BATCH_SIZE
        rows = zip(ordinals[start:end], outcomes[start:end], strict=True)
        encoder = SecurityEncoder()
        yield [encode_outcome(build_outcome_id(rebalance_id, at), row, encoder) for at, row in rows]


class SecurityEncoder:
    """Encoder of securities, which the outcomes of a batch or the rebalances of a model share.

    Encoding the decimals of each security again would take three quarters of the time of a batch
    or of a rebalance of one portfolio.
    """

    def __init__(self) -> None:
        # The key is the identity, because equal securities may differ in the digits of their
        # numbers; the value has the security, because a new object may get the id of a deleted one.
        self._documents: dict[int, tuple[PricedTarget, RawBSONDocument]] = {}

    def __call__(self, security: PricedTarget) -> RawBSONDocument:
        """Encode a security, once for all uses of the same object."""
        entry = self._documents.get(id(security))
        if entry is not None:
            return entry[1]
        if len(self._documents) >= MAX_ENCODED_SECURITIES:
            self._documents.clear()
        result = RawBSONDocument(encode(encode_security(security), codec_options=CODEC))
        self._documents[id(security)] = security, result
        return result


def build_outcome_id(rebalance_id: str, ordinal: int) -> str:
    """Build the deterministic id that makes a repeated write harmless; ids sort like ordinals."""
    if not 0 <= ordinal < MAX_PORTFOLIOS_PER_REBALANCE:
        raise ValueError(
            f"ordinal {ordinal} is not within 0 and {MAX_PORTFOLIOS_PER_REBALANCE - 1}"
        )
    return f"{rebalance_id}:{ordinal:07}"


def parse_ordinal(document_id: str) -> int:
    """Extract the ordinal of the portfolio from an id that begins with the id of an outcome."""
    return int(document_id[25:32])


def build_id_range(rebalance_id: str) -> Document:
    """Build the range of the ids of all outcomes of a rebalance."""
    return {"$gte": f"{rebalance_id}:", "$lt": f"{rebalance_id};"}


def encode_outcome(
    document_id: str,
    outcome: PortfolioOutcome,
    encoder: EncodeSecurity | None = None,
) -> Document:
    """Convert the outcome of a portfolio to a document without the fields that are None."""
    return {"_id": document_id, **encode_outcome_fields(outcome, encoder)}


def encode_outcome_fields(
    outcome: PortfolioOutcome,
    encoder: EncodeSecurity | None = None,
) -> Document:
    """Convert the outcome of a portfolio to the fields of its document, without the id."""
    encode_other = encoder or encode_security
    document: Document = {
        "portfolio_id": outcome.portfolio_id,
        "status": outcome.status.value,
        # 0 says that the arrays do not begin with the securities of the rebalance.
        "securities": len(outcome.securities),
        "before": _encode_shares(outcome.before),
        "after": _encode_shares(outcome.after),
        # The number is stored, because counting in the arrays of a large rebalance takes a minute.
        "transactions": sum(map(ne, outcome.before, outcome.after)),
    }
    amounts = ("market_value", "cash_before", "cash_after")
    optional: Document = {name: getattr(outcome, name) for name in amounts}
    document |= {name: amount for name, amount in optional.items() if amount is not None}
    details: Document = {
        "other": [encode_other(security) for security in outcome.others],
        "counted_orders": outcome.counted_orders,
        "outside_band": [_encode_outside_band(outside) for outside in outcome.outside_band],
        "cost": outcome.cost,
    }
    document |= {name: value for name, value in details.items() if value}
    if outcome.certificate is not None:
        document |= _encode_certificate(outcome.certificate)
    if outcome.refusal is not None:
        document["problem"] = encode_refusal(outcome.refusal)
    return document


def decode_outcome(document: Document, securities: tuple[PricedTarget, ...]) -> PortfolioOutcome:
    """Convert a document to an outcome, given the securities of its rebalance."""
    return PortfolioOutcome(
        portfolio_id=document["portfolio_id"],
        status=Status(document["status"]),
        market_value=_decode_amount(document, "market_value"),
        cash_before=_decode_amount(document, "cash_before"),
        cash_after=_decode_amount(document, "cash_after"),
        securities=securities if document["securities"] else (),
        others=tuple(decode_security(other) for other in document.get("other", ())),
        before=_decode_quantities(document["before"]),
        after=_decode_quantities(document["after"]),
        certificate=_decode_certificate(document),
        outside_band=tuple(map(_decode_outside_band, document.get("outside_band", ()))),
        cost=decode_decimal(document["cost"]) if "cost" in document else Decimal(0),
        refusal=Refusal(**document["problem"]) if "problem" in document else None,
        counted_orders=document.get("counted_orders", 0),
    )


def encode_security(security: PricedTarget) -> Document:
    """Convert a security with its price to a document."""
    return {
        "security_id": security.security_id,
        "price": security.price,
        "target": encode_weight(security.weight),
        "low_drift": encode_weight(security.band.low),
        "high_drift": encode_weight(security.band.high),
    }


def decode_security(document: Document) -> PricedTarget:
    """Convert a document to a security with its price."""
    band = DriftBand(decode_weight(document["low_drift"]), decode_weight(document["high_drift"]))
    price, weight = decode_decimal(document["price"]), decode_weight(document["target"])
    return PricedTarget(document["security_id"], price, weight, band)


def _encode_outside_band(outside: OutsideBand) -> Document:
    return {
        "security_id": outside.security_id,
        "side": outside.side.value,
        "outside": outside.outside,
        "held_by": list(outside.held_by),
    }


def _decode_outside_band(document: Mapping[str, Any]) -> OutsideBand:
    return OutsideBand(
        security_id=document["security_id"],
        side=Edge(document["side"]),
        outside=decode_decimal(document["outside"]),
        held_by=tuple(document["held_by"]),
    )


def _encode_shares(row: tuple[int | Decimal, ...]) -> Sequence[int | Decimal]:
    try:
        array("q", cast("tuple[int, ...]", row))  # fails unless all are 64-bit integers
    except (TypeError, OverflowError):
        return [_encode_number(shares) for shares in row]
    return row


def _encode_number(shares: int | Decimal) -> int | Decimal:
    # Whole shares become integers if they fit, because integers take a fourth of the bytes.
    whole = int(shares)
    return whole if whole == shares and abs(whole) <= MAX_INT64 else Decimal(shares)


def _decode_quantities(row: list[int | Decimal | str]) -> tuple[int | Decimal, ...]:
    return tuple(shares if isinstance(shares, int) else decode_decimal(shares) for shares in row)


def _decode_amount(document: Document, name: str) -> Decimal | None:
    return decode_decimal(document[name]) if name in document else None


def _encode_certificate(certificate: Certificate) -> Document:
    fields: Document = {
        "objective": certificate.objective,
        "lower_bound": certificate.lower_bound,
        "method": certificate.method.value,
        "proof": certificate.proof.value,
        "solver": certificate.solver,
    }
    if certificate.other_base is not None:
        fields["other_base"] = certificate.other_base
    if certificate.violation or certificate.violation_lower_bound:
        fields["violation"] = certificate.violation
        fields["violation_lower_bound"] = certificate.violation_lower_bound
    if certificate.binding:
        fields["binding"] = [
            {"constraint": b.constraint, "slack": b.slack} for b in certificate.binding
        ]
    return fields


def _decode_certificate(document: Document) -> Certificate | None:
    if "proof" not in document:
        return None
    return Certificate(
        proof=Proof(document["proof"]),
        method=Method(document["method"]),
        objective=decode_decimal(document["objective"]),
        lower_bound=decode_decimal(document["lower_bound"]),
        binding=tuple(
            Binding(row["constraint"], decode_decimal(row["slack"]))
            for row in document.get("binding", ())
        ),
        solver=document["solver"],
        other_base=_decode_amount(document, "other_base"),
        violation=decode_decimal(document.get("violation", NO_VIOLATION)),
        violation_lower_bound=decode_decimal(document.get("violation_lower_bound", NO_VIOLATION)),
    )


def encode_refusal(refusal: Refusal) -> Document:
    """Convert the reason why there is no plan to a document."""
    members = to_storable(refusal.members)
    return {"code": refusal.code, "detail": refusal.detail, "members": members}
