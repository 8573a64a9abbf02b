"""Rule: a pre-trade rule that plans are checked against, and its document."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final

from bson import ObjectId

from optimization.errors import RuleError
from storage.mongo.connection import Document
from storage.mongo.decimal_codec import decode_decimal

MAX_RULES: Final = 50  # because each rebalance stores the rules that it was checked against
MAX_RULE_IDS_PER_LIST: Final = 500


class RuleKind(StrEnum):
    """Kind of a limit; amounts are in currency, parts are parts of market value."""

    RESTRICTED = "RESTRICTED"  # securities that are not bought, or not held
    WEIGHT_MOST = "WEIGHT_MOST"  # the weight of some securities together
    WEIGHT_LEAST = "WEIGHT_LEAST"
    TRADE_MOST = "TRADE_MOST"  # the value of a single trade
    TURNOVER_MOST = "TURNOVER_MOST"
    CASH_LEAST = "CASH_LEAST"
    ORDER_SHARE_MOST = "ORDER_SHARE_MOST"  # part of the volume in the options, for one order


class RestrictedSide(StrEnum):
    """Side that is forbidden for restricted securities: a purchase, or any holding."""

    BUY = "BUY"
    HOLD = "HOLD"


class Severity(StrEnum):
    """Consequence of a plan that breaks a rule."""

    BLOCK = "BLOCK"  # its orders are not sent
    WARN = "WARN"


OF_SECURITIES: Final = frozenset({RuleKind.RESTRICTED, RuleKind.WEIGHT_MOST, RuleKind.WEIGHT_LEAST})
OF_PART: Final = frozenset({RuleKind.WEIGHT_MOST, RuleKind.WEIGHT_LEAST, RuleKind.ORDER_SHARE_MOST})
OF_AMOUNT: Final = frozenset({RuleKind.TRADE_MOST, RuleKind.TURNOVER_MOST, RuleKind.CASH_LEAST})


@dataclass(frozen=True, slots=True)
class Rule:
    """A pre-trade rule; ``models`` and ``portfolios`` limit it to these ids, None for no limit.

    ``part`` is a part of market value (of the volume, for ORDER_SHARE_MOST), ``amount`` is in
    currency. With ``as_option`` it narrows the options of a rebalance, so that a plan complies by
    construction. Raises RuleError for members that do not belong to its kind.
    """

    name: str
    kind: RuleKind
    severity: Severity
    as_option: bool = False
    models: frozenset[str] | None = None
    portfolios: frozenset[str] | None = None
    security_ids: frozenset[str] = frozenset()
    side: RestrictedSide | None = None
    part: Decimal | None = None
    amount: Decimal | None = None
    rule_id: str = ""
    version: int = 1

    def __post_init__(self) -> None:
        kind = self.kind
        _require(bool(self.security_ids) is (kind in OF_SECURITIES), "security_ids", kind)
        _require((self.side is not None) is (kind is RuleKind.RESTRICTED), "side", kind)
        if kind in OF_AMOUNT:
            if (self.part is None) is (self.amount is None):
                raise RuleError(("amount",), self.amount, f"{kind} takes an amount or a part")
        else:
            _require((self.part is not None) is (kind in OF_PART), "part", kind)
            _require(self.amount is None, "amount", kind)

    def may_concern(self, model_id: str, portfolio_ids: Collection[str]) -> bool:
        """Whether the rule may apply to any of these portfolios in a rebalance of the model."""
        if self.models is not None and model_id not in self.models:
            return False
        return self.portfolios is None or not self.portfolios.isdisjoint(portfolio_ids)

    def concerns(self, portfolio_id: str) -> bool:
        """Whether a rule of the model applies to this portfolio, too."""
        return self.portfolios is None or portfolio_id in self.portfolios


def select_rules(
    rules: Iterable[Rule], model_id: str, portfolio_ids: Collection[str]
) -> tuple[Rule, ...]:
    """Return the rules that may apply to these portfolios in a rebalance of the model."""
    return tuple(rule for rule in rules if rule.may_concern(model_id, portfolio_ids))


def _require(is_right: bool, name: str, kind: RuleKind) -> None:
    if not is_right:
        raise RuleError((name,), None, f"{kind} takes {', '.join(MEMBERS[kind])}")


MEMBERS: Final[Mapping[RuleKind, tuple[str, ...]]] = {
    RuleKind.RESTRICTED: ("security_ids", "side"),
    RuleKind.WEIGHT_MOST: ("security_ids", "part"),
    RuleKind.WEIGHT_LEAST: ("security_ids", "part"),
    RuleKind.TRADE_MOST: ("amount or part",),
    RuleKind.TURNOVER_MOST: ("amount or part",),
    RuleKind.CASH_LEAST: ("amount or part",),
    RuleKind.ORDER_SHARE_MOST: ("part",),
}
"""The members of each kind beside its name, scope, severity and ``as_option``."""


def encode_rule_fields(rule: Rule) -> Document:
    """Return the members of a rule that a change replaces, without its absent ones."""
    members: dict[str, Any] = {
        "name": rule.name,
        "kind": rule.kind.value,
        "severity": rule.severity.value,
        "as_option": rule.as_option,
        "models": _encode_ids(rule.models),
        "portfolios": _encode_ids(rule.portfolios),
        "security_ids": sorted(rule.security_ids) or None,
        "side": None if rule.side is None else rule.side.value,
        "part": rule.part,
        "amount": rule.amount,
    }
    return {name: value for name, value in members.items() if value is not None}


def encode_rule(rule: Rule) -> Document:
    """Convert a rule to a document."""
    return {"_id": ObjectId(rule.rule_id), **encode_rule_fields(rule), "version": rule.version}


def decode_rule(document: Document) -> Rule:
    """Convert a document to a rule."""
    side, part, amount = (document.get(name) for name in ("side", "part", "amount"))
    return Rule(
        name=document["name"],
        kind=RuleKind(document["kind"]),
        severity=Severity(document["severity"]),
        as_option=document["as_option"],
        models=_decode_ids(document.get("models")),
        portfolios=_decode_ids(document.get("portfolios")),
        security_ids=frozenset(document.get("security_ids", ())),
        side=None if side is None else RestrictedSide(side),
        part=None if part is None else decode_decimal(part),
        amount=None if amount is None else decode_decimal(amount),
        rule_id=str(document["_id"]),
        version=document["version"],
    )


def _encode_ids(ids: frozenset[str] | None) -> list[str] | None:
    return None if ids is None else sorted(ids)


def _decode_ids(ids: list[str] | None) -> frozenset[str] | None:
    return None if ids is None else frozenset(ids)
