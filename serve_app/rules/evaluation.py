"""Evaluation of pre-trade rules on a plan, exactly.

Values and limits are compared as fractions. What is shown is rounded so that a broken rule never
shows as kept: what is left is rounded down.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import ROUND_FLOOR, ROUND_HALF_UP, Decimal
from enum import StrEnum
from fractions import Fraction
from typing import Final

from optimization import EXACT, PortfolioOutcome, Status
from storage.rule import RestrictedSide, Rule, RuleKind, Severity

WITHOUT_PLAN: Final = frozenset({Status.INFEASIBLE, Status.FAILED})
FLOORS: Final = frozenset({RuleKind.WEIGHT_LEAST, RuleKind.CASH_LEAST})
ZERO: Final = Fraction(0)


class RuleOutcome(StrEnum):
    """Outcome of a rule for a portfolio."""

    PASS = "PASS"  # noqa: S105 - no password
    WARN = "WARN"
    BLOCK = "BLOCK"


@dataclass(frozen=True, slots=True)
class RuleResult:
    """Outcome of a version of a rule, with value, limit and what is left, below 0 if broken.

    The numbers are currency, or parts: of market value after costs for weights, of the volume for
    orders.
    """

    rule: Rule
    outcome: RuleOutcome
    value: Decimal
    limit: Decimal
    left: Decimal


@dataclass(frozen=True, slots=True)
class _Line:
    """A security of a plan: its value afterwards, and the value and shares that are traded."""

    security_id: str
    after: Fraction
    traded: Fraction  # of a sale below 0
    shares: Fraction


def evaluate_rules(rules: Sequence[Rule], outcome: PortfolioOutcome) -> list[RuleResult]:
    """Evaluate the rules that concern a portfolio; none if it has no plan."""
    if outcome.status in WITHOUT_PLAN or outcome.base is None:
        return []
    lines = [*_lines_of(outcome)]
    return [
        _result(each, *_measure(each, outcome, lines))
        for each in rules
        if each.concerns(outcome.portfolio_id)
    ]


def _lines_of(outcome: PortfolioOutcome) -> Iterator[_Line]:
    for security, before, after in outcome.positions:
        price, shares = Fraction(security.price), Fraction(after) - Fraction(before)
        yield _Line(security.security_id, price * Fraction(after), price * shares, shares)


def _measure(
    rule: Rule, outcome: PortfolioOutcome, lines: Iterable[_Line]
) -> tuple[Fraction, Fraction]:
    """Return the value that a rule limits, and the limit, in the same unit."""
    assert outcome.base is not None
    base = Fraction(outcome.base)
    named = [each for each in lines if each.security_id in rule.security_ids]
    match rule.kind:
        case RuleKind.RESTRICTED if rule.side is RestrictedSide.BUY:
            return sum((max(ZERO, each.traded) for each in named), ZERO), ZERO
        case RuleKind.RESTRICTED:
            return sum((abs(each.after) for each in named), ZERO), ZERO
        case RuleKind.WEIGHT_MOST | RuleKind.WEIGHT_LEAST:
            value = sum((each.after for each in named), ZERO)
            return value / base if base else ZERO, _part_of(rule)
        case RuleKind.TRADE_MOST:
            most = max((abs(each.traded) for each in lines), default=ZERO)
            return most, _amount_of(rule, base)
        case RuleKind.TURNOVER_MOST:
            return sum((abs(each.traded) for each in lines), ZERO), _amount_of(rule, base)
        case RuleKind.CASH_LEAST:
            return Fraction(outcome.cash_after or 0), _amount_of(rule, base)
        case RuleKind.ORDER_SHARE_MOST:
            shares = (_share_of(rule, each) for each in lines)
            return max(shares, default=ZERO), _part_of(rule)


def _share_of(rule: Rule, line: _Line) -> Fraction:
    """Return which part of its volume a trade is; a security without a volume is not limited."""
    volume = rule.volumes.get(line.security_id)
    return ZERO if volume is None else abs(line.shares) / Fraction(volume)


def _part_of(rule: Rule) -> Fraction:
    assert rule.part is not None
    return Fraction(rule.part)


def _amount_of(rule: Rule, base: Fraction) -> Fraction:
    if rule.amount is not None:
        return Fraction(rule.amount)
    return _part_of(rule) * base


def _result(rule: Rule, value: Fraction, limit: Fraction) -> RuleResult:
    left = value - limit if rule.kind in FLOORS else limit - value
    broken = RuleOutcome.BLOCK if rule.severity is Severity.BLOCK else RuleOutcome.WARN
    outcome = broken if left < 0 else RuleOutcome.PASS
    return RuleResult(
        rule,
        outcome,
        _to_decimal(value, ROUND_HALF_UP),
        _to_decimal(limit, ROUND_HALF_UP),
        _to_decimal(left, ROUND_FLOOR),
    )


def _to_decimal(value: Fraction, rounding: str) -> Decimal:
    """Convert to at most 12 decimals, without trailing zeros."""
    scaled = value * 10**12
    whole, rest = divmod(scaled.numerator, scaled.denominator)
    if rest and rounding == ROUND_HALF_UP and 2 * rest >= scaled.denominator:
        whole += 1
    shown = EXACT.scaleb(Decimal(whole), -12)
    is_whole = whole % 10**12 == 0
    return shown.quantize(Decimal(1), context=EXACT) if is_whole else shown.normalize(EXACT)
