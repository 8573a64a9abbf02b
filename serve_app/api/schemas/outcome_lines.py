"""Transactions and drifts of outcomes as JSON text.

A long answer has half a million lines of a few thousand securities, so the text that all lines of a
security share is written once.
"""

from collections.abc import Sequence
from decimal import Decimal
from typing import Annotated, Any, Final, NamedTuple

import orjson
from typing_extensions import TypedDict

from optimization import (
    EXACT,
    Drift,
    Edge,
    PortfolioOutcome,
    PricedTarget,
    Side,
    compute_weight,
    traded_shares,
    unsigned,
    weight_text,
)
from serve_app.api.schemas.fields import (
    DateText,
    DecimalText,
    DocumentedAs,
    JsonNumber,
    inline_enum,
)
from serve_app.api.schemas.general_fields import AnyIdentifier, WeightText
from serve_app.json_text import encode, whole, write_string

GAP: Final = "\0"  # in no JSON text, because JSON escapes control characters
WRITTEN_GAP: Final[Any] = orjson.Fragment(GAP)
ZERO: Final = Decimal(0)
MAX_TEXTS: Final = 10_000  # securities, about 10 MB

TransactionType = Annotated[Side, DocumentedAs(inline_enum(Side))]
BandSide = Annotated[Edge, DocumentedAs(inline_enum(Edge))]


class TransactionAnswer(TypedDict):
    """A trade of whole shares."""

    transaction_type: TransactionType
    security_id: AnyIdentifier
    quantity: JsonNumber
    trade_date: DateText


class DriftAnswer(TypedDict):
    """One security before and after; ``actual`` is the weight afterwards, 4 decimals."""

    security_id: AnyIdentifier
    original_quantity: DecimalText
    adjusted_quantity: DecimalText
    target: WeightText
    high_drift: WeightText
    low_drift: WeightText
    actual: DecimalText


class WrittenLines(NamedTuple):
    """Transactions and drifts of one outcome as JSON arrays, and the value of all trades."""

    transactions: Any  # orjson.Fragment, in the place of list[TransactionAnswer]
    drifts: Any  # orjson.Fragment, in the place of list[DriftAnswer]
    turnover: Decimal


class SecurityText(NamedTuple):
    """Text of the lines of one security between the values that change."""

    security: PricedTarget
    drift: Sequence[str]
    buy: Sequence[str]
    sell: Sequence[str]


class OutcomeLines:
    """Writer of the transactions and drifts of outcomes with one trade date.

    A writer may serve many answers: the text of a security is written again once its digits differ.
    """

    def __init__(self, trade_date: str) -> None:
        self._trade_date = trade_date
        self._texts: dict[str, SecurityText] = {}

    def write(self, outcome: PortfolioOutcome) -> WrittenLines:
        """Write the lines of an outcome, in the order of its securities."""
        drifts: list[str] = []
        transactions: list[str] = []
        turnover, base = ZERO, outcome.base
        if base is not None:
            for security, before, after in outcome.positions:
                text = self._texts.get(security.security_id)
                if text is None or text.security is not security:
                    text = self.find_text(security)
                start, to, middle, end = text.drift
                traded = traded_shares(before, after)
                # The type is compared here, because most shares are integers and a call costs more.
                was = before if type(before) is int else write_string(whole(before))
                now = after if type(after) is int else write_string(whole(after))
                weight = compute_weight(after, security.price, base)
                drifts.append(f'{start}"{was}"{to}"{now}"{middle}"{weight:f}"{end}')
                if traded:
                    shares = unsigned(traded)
                    start, end = text.buy if traded > 0 else text.sell
                    transactions.append(f"{start}{write_string(whole(shares))}{end}")
                    turnover = EXACT.fma(Decimal(shares), security.price, turnover)
                else:  # an untraded price adds its digits to the sum
                    turnover = EXACT.fma(ZERO, security.price, turnover)
        return WrittenLines(_array(transactions), _array(drifts), turnover)

    def find_text(self, security: PricedTarget) -> SecurityText:
        """Return the text of the lines of a security."""
        known = self._texts.get(security.security_id)
        if known is not None and known.security is security:
            return known
        # The same security may have another target in another portfolio's outcome.
        if known is not None and _reads_alike(known.security, security):
            # The text keeps the newer object, because the next outcome is likely to have it again.
            text = known._replace(security=security)
        else:
            if len(self._texts) >= MAX_TEXTS:
                self._texts.clear()
            text = self._split_lines(security, security.security_id)
        self._texts[security.security_id] = text
        return text

    def build_frame(self, security: PricedTarget) -> SecurityText:
        """Return the text of the lines of a security, with a gap for its id, too."""
        return self._split_lines(security, WRITTEN_GAP)

    def _split_lines(self, security: PricedTarget, security_id: Any) -> SecurityText:
        buy, sell = (
            _transaction_json(side, security_id, self._trade_date) for side in (Side.BUY, Side.SELL)
        )
        drift = _drift_json(security, security_id)
        return SecurityText(security, _split(drift), _split(buy), _split(sell))


def _reads_alike(known: PricedTarget, security: PricedTarget) -> bool:
    """True if all lines of two securities of one id have the same text around their values."""
    # Texts are compared, because equal numbers may be written with other digits.
    numbers = (known.weight, security.weight), (known.band.low, security.band.low)
    more = (known.band.high, security.band.high)
    return all(str(number) == str(other) for number, other in (*numbers, more))


def _array(elements: list[str]) -> orjson.Fragment:
    return orjson.Fragment(f"[{','.join(elements)}]")


def _split(line: DriftAnswer | TransactionAnswer) -> Sequence[str]:
    return encode(line).decode().split(GAP)


def _transaction_json(side: Side, security_id: str, trade_date: str) -> TransactionAnswer:
    return {
        "transaction_type": side,
        "security_id": security_id,
        "quantity": WRITTEN_GAP,
        "trade_date": trade_date,
    }


def _drift_json(security: PricedTarget, security_id: str) -> DriftAnswer:
    return {
        "security_id": security_id,
        "original_quantity": WRITTEN_GAP,
        "adjusted_quantity": WRITTEN_GAP,
        "target": weight_text(security.weight),
        "high_drift": weight_text(security.band.high),
        "low_drift": weight_text(security.band.low),
        "actual": WRITTEN_GAP,
    }


def derive_side(drift: Drift) -> Side | None:
    """Return the side of a security's trade; None if it is not traded."""
    return None if drift.change == 0 else Side.BUY if drift.change > 0 else Side.SELL
