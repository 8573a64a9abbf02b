"""Answers of the service about pre-trade rules."""

from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class Rule:
    """A pre-trade rule; a member that its kind does not have is None."""

    rule_id: str
    name: str
    kind: str
    severity: str
    as_option: bool
    models: tuple[str, ...] | None
    portfolios: tuple[str, ...] | None
    security_ids: tuple[str, ...] | None
    side: str | None
    part: Decimal | None
    amount: Decimal | None
    version: int


@dataclass(frozen=True, slots=True)
class RuleResult:
    """Outcome of a rule for a plan: PASS, WARN or BLOCK; ``left`` is below 0 if it is broken.

    ``value`` and ``left`` are None if the options give no volume of the securities in
    ``without_volume``, which the plan trades.
    """

    rule_id: str
    name: str
    version: int
    result: str
    value: Decimal | None
    limit: Decimal
    left: Decimal | None
    without_volume: tuple[str, ...] = ()
