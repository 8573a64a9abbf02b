"""Evaluation of pre-trade rules on a plan, exactly.

Values and limits are compared as fractions. Results are rounded so that a broken rule never shows
as kept: the rest is rounded down.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import ROUND_FLOOR, ROUND_HALF_UP, Decimal
from enum import StrEnum
from fractions import Fraction
from typing import Final, NamedTuple, TypeAlias

from optimization import EXACT, PortfolioOutcome, Status
from storage.rebalances.rebalance import Rebalance
from storage.rules.rule import RestrictedSide, Rule, RuleKind, Severity

WITHOUT_PLAN: Final = frozenset({Status.INFEASIBLE, Status.FAILED})
FLOORS: Final = frozenset({RuleKind.WEIGHT_LEAST, RuleKind.CASH_LEAST})
ZERO: Final = Fraction(0)
Volumes: TypeAlias = Mapping[str, Decimal]
"""Shares that the market trades, by security."""
NO_VOLUMES: Final[Volumes] = {}


class RuleOutcome(StrEnum):
    """Outcome of a rule for a portfolio."""

    PASS = "PASS"  # noqa: S105 - no password
    WARN = "WARN"
    BLOCK = "BLOCK"


@dataclass(frozen=True, slots=True)
class RuleResult:
    """Outcome of a version of a rule, with value, limit and the rest, below 0 if broken.

    The numbers are currency, or parts: of market value after costs for weights, of the volume for
    orders. ``without_volume`` lists the traded securities whose volume the options do not give; the
    rule is broken then, and nobody knows by how much.
    """

    rule: Rule
    outcome: RuleOutcome
    value: Decimal | None
    limit: Decimal
    left: Decimal | None
    without_volume: tuple[str, ...] = ()


class BrokenRules(NamedTuple):
    """Names of the rules that a plan breaks: those that hold its orders back, and the others."""

    blocked_by: tuple[str, ...]
    warned_by: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RuleCheck:
    """The rules of a rebalance and the volumes in its options; false without rules."""

    rules: tuple[Rule, ...] = ()
    volumes: Volumes = field(default_factory=dict[str, Decimal])
    own_volumes: Mapping[str, Volumes] = field(default_factory=dict[str, Volumes])
    """Volumes of portfolios that have some of their own, in place of those of all."""

    @staticmethod
    def from_rebalance(rebalance: Rebalance) -> "RuleCheck":
        """Make the check of the plans of a rebalance."""
        own = rebalance.overrides_by_portfolio
        return RuleCheck(
            rebalance.rules,
            rebalance.options.values.get("volumes", NO_VOLUMES),
            {
                portfolio_id: overrides.values["volumes"]
                for portfolio_id, overrides in own.items()
                if "volumes" in overrides.values
            },
        )

    @staticmethod
    def from_blocking_rules(rebalance: Rebalance) -> "RuleCheck":
        """Make the check by those rules alone that hold the orders of a plan back."""
        rules = tuple(rule for rule in rebalance.rules if rule.severity is Severity.BLOCK)
        return RuleCheck.from_rebalance(replace(rebalance, rules=rules))

    def __bool__(self) -> bool:
        return bool(self.rules)

    def evaluate(self, outcome: PortfolioOutcome) -> list[RuleResult]:
        """Evaluate the rules that concern a portfolio; none if it has no plan."""
        if not self.rules:
            return []
        volumes = self.own_volumes.get(outcome.portfolio_id, self.volumes)
        return evaluate_rules(self.rules, outcome, volumes)

    def list_broken(self, outcome: PortfolioOutcome) -> BrokenRules:
        """List the rules that the plan of a portfolio breaks."""
        results = self.evaluate(outcome)
        return BrokenRules(
            tuple(result.rule.name for result in results if result.outcome is RuleOutcome.BLOCK),
            tuple(result.rule.name for result in results if result.outcome is RuleOutcome.WARN),
        )


NO_RULES: Final = RuleCheck()


@dataclass(frozen=True, slots=True)
class _Line:
    """A security of a plan: its value afterwards, and the value and shares that are traded."""

    security_id: str
    after: Fraction
    traded: Fraction  # negative for a sale
    shares: Fraction


def evaluate_rules(
    rules: Sequence[Rule], outcome: PortfolioOutcome, volumes: Volumes = NO_VOLUMES
) -> list[RuleResult]:
    """Evaluate the rules that concern a portfolio; none if it has no plan."""
    if outcome.status in WITHOUT_PLAN or outcome.base is None:
        return []
    lines = [*_list_lines(outcome)]
    return [
        _evaluate_order_share(rule, lines, volumes)
        if rule.kind is RuleKind.ORDER_SHARE_MOST
        else _build_result(rule, *_measure(rule, outcome, lines))
        for rule in rules
        if rule.concerns(outcome.portfolio_id)
    ]


def _list_lines(outcome: PortfolioOutcome) -> Iterator[_Line]:
    for security, before, after in outcome.positions:
        price, shares = Fraction(security.price), Fraction(after) - Fraction(before)
        yield _Line(security.security_id, price * Fraction(after), price * shares, shares)


def _measure(
    rule: Rule, outcome: PortfolioOutcome, lines: Sequence[_Line]
) -> tuple[Fraction, Fraction]:
    """Return the value that a rule limits, and the limit, in the same unit."""
    assert outcome.base is not None
    # Turnover and trades are measured before costs, as their options are, because otherwise a plan
    # under an option could break the rule that the option comes from.
    base, whole = Fraction(outcome.base), Fraction(outcome.market_value or 0)
    named_lines = [line for line in lines if line.security_id in rule.security_ids]
    match rule.kind:
        case RuleKind.RESTRICTED if rule.side is RestrictedSide.BUY:
            return sum((max(ZERO, line.traded) for line in named_lines), ZERO), ZERO
        case RuleKind.RESTRICTED:
            return sum((abs(line.after) for line in named_lines), ZERO), ZERO
        case RuleKind.WEIGHT_MOST | RuleKind.WEIGHT_LEAST:
            value = sum((line.after for line in named_lines), ZERO)
            return value / base if base else ZERO, _read_part(rule)
        case RuleKind.TRADE_MOST:
            most = max((abs(line.traded) for line in lines), default=ZERO)
            return most, _compute_amount(rule, whole)
        case RuleKind.TURNOVER_MOST:
            return sum((abs(line.traded) for line in lines), ZERO), _compute_amount(rule, whole)
        case _:  # CASH_LEAST
            return Fraction(outcome.cash_after or 0), _compute_amount(rule, base)


def _evaluate_order_share(rule: Rule, lines: Sequence[_Line], volumes: Volumes) -> RuleResult:
    """Compare the greatest order with its volume; an order without a volume breaks the rule."""
    traded_lines = [line for line in lines if line.shares]
    without_volume = tuple(
        line.security_id for line in traded_lines if not volumes.get(line.security_id)
    )
    if without_volume:
        limit = _to_decimal(_read_part(rule), ROUND_HALF_UP)
        return RuleResult(rule, _outcome_if_broken(rule), None, limit, None, without_volume)
    shares = (abs(line.shares) / Fraction(volumes[line.security_id]) for line in traded_lines)
    return _build_result(rule, max(shares, default=ZERO), _read_part(rule))


def _read_part(rule: Rule) -> Fraction:
    assert rule.part is not None
    return Fraction(rule.part)


def _compute_amount(rule: Rule, base: Fraction) -> Fraction:
    if rule.amount is not None:
        return Fraction(rule.amount)
    return _read_part(rule) * base


def _build_result(rule: Rule, value: Fraction, limit: Fraction) -> RuleResult:
    headroom = value - limit if rule.kind in FLOORS else limit - value
    outcome = _outcome_if_broken(rule) if headroom < 0 else RuleOutcome.PASS
    return RuleResult(
        rule,
        outcome,
        _to_decimal(value, ROUND_HALF_UP),
        _to_decimal(limit, ROUND_HALF_UP),
        _to_decimal(headroom, ROUND_FLOOR),
    )


def _outcome_if_broken(rule: Rule) -> RuleOutcome:
    return RuleOutcome.BLOCK if rule.severity is Severity.BLOCK else RuleOutcome.WARN


def _to_decimal(value: Fraction, rounding: str) -> Decimal:
    """Convert to at most 12 decimals, without trailing zeros."""
    scaled = value * 10**12
    whole, rest = divmod(scaled.numerator, scaled.denominator)
    if rest and rounding == ROUND_HALF_UP and 2 * rest >= scaled.denominator:
        whole += 1
    shown = EXACT.scaleb(Decimal(whole), -12)
    is_whole = whole % 10**12 == 0
    return shown.quantize(Decimal(1), context=EXACT) if is_whole else shown.normalize(EXACT)
