"""Positions outside their bands in a plan: by how much, and which option holds them there.

The search lifts each restriction, the scope and each limit in turn, on every security, and
minimises the violation again. An option holds a security if lifting it lowers the security's
violation and the sum of all. If no single option does, the search lifts all of them and restores
one after another while the violation stays lower; the rest is a minimal set. Whole lots hold a
security if no number of whole shares is closer to its band.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from fractions import Fraction

from optimization.domain.option_values import Scope
from optimization.domain.outcome import Edge, OutsideBand
from optimization.errors import CertificationError, NoSolutionInTimeError
from optimization.exact.band_violations import (
    band_violations,
    compute_edges,
    compute_worth,
    total_violation,
)
from optimization.exact.scaled_integers import Integers, fraction_to_decimal
from optimization.solvers.coupled_problem import CoupledProblem
from optimization.solvers.least_violation import least_violation
from optimization.solvers.separable import SeparableRelaxation, restate
from optimization.solvers.yielding_bands import soften_bands
from optimization.time_budget import TimeBudget

EXPLANATION_TIME_S = 2.0  # limit of each explanation in an answer
WHOLE_LOTS, CASH_FLOOR, SOFT_PRICE = "whole_lots", "cash_floor", "soft_band_price"

Amounts = Mapping[str, Fraction]  # key: security; currency


def find_outside_bands(
    relaxed: SeparableRelaxation,
    row: int,
    coupled: CoupledProblem,
    lots: Integers,
    budget: TimeBudget,
) -> tuple[OutsideBand, ...]:
    """List the securities that a plan leaves outside their bands, in the order of the columns."""
    amounts = measure_outside(relaxed, coupled, lots)
    if not amounts:
        return ()
    held_by: Mapping[str, tuple[str, ...]]
    if relaxed.options.soft_band_price is not None:
        held_by = dict.fromkeys(amounts, (SOFT_PRICE,))
    else:
        held_by = _Search(
            relaxed, row, coupled, amounts, budget.share(1, EXPLANATION_TIME_S)
        ).find_holders()
    sides = _find_sides(relaxed, coupled, lots)
    return tuple(
        OutsideBand(security, sides[security], _to_currency(coupled, amount), held_by[security])
        for security, amount in amounts.items()
    )


def sum_outside(coupled: CoupledProblem, lots: Integers) -> Decimal:
    """Sum of all violations of a plan, in currency."""
    block = coupled.block
    return fraction_to_decimal(total_violation(block, lots), block.decimals)


def _to_currency(coupled: CoupledProblem, amount: Fraction) -> Decimal:
    decimals = coupled.block.decimals
    return fraction_to_decimal(amount * 10**decimals, decimals)


def measure_outside(
    relaxed: SeparableRelaxation, coupled: CoupledProblem, lots: Integers
) -> dict[str, Fraction]:
    """Violation of each security in currency; securities inside their bands are omitted."""
    block = coupled.block
    violations = band_violations(compute_edges(block), compute_worth(block, lots))
    amounts: dict[str, Fraction] = {}
    for security, violation in zip(relaxed.assembled.securities, violations, strict=True):
        if violation:
            before = amounts.get(security.security_id, Fraction(0))
            amounts[security.security_id] = before + violation / 10**block.decimals
    return amounts


def _find_sides(
    relaxed: SeparableRelaxation, coupled: CoupledProblem, lots: Integers
) -> dict[str, Edge]:
    block = coupled.block
    rows = zip(
        relaxed.assembled.securities, compute_edges(block), compute_worth(block, lots), strict=True
    )
    return {
        security.security_id: Edge.BELOW if worth < low else Edge.ABOVE
        for security, (low, high), worth in rows
        if not low <= worth <= high
    }


@dataclass(frozen=True, eq=False)
class _Search:
    """Search for the options that hold each security; remembers violations by lifted options."""

    relaxed: SeparableRelaxation
    row: int
    coupled: CoupledProblem
    amounts: Amounts
    budget: TimeBudget
    violations: dict[frozenset[str], Amounts | None] = field(
        default_factory=dict[frozenset[str], Amounts | None]
    )

    def find_holders(self) -> dict[str, tuple[str, ...]]:
        """Name the options that hold each security."""
        closest = self._measure_closest()
        liftable = tuple(self._list_liftable())
        return {
            security: (WHOLE_LOTS,)
            if closest.get(security, Fraction(0)) >= amount
            else self._find_holders(security, liftable)
            for security, amount in self.amounts.items()
        }

    def _find_holders(self, security: str, liftable: tuple[str, ...]) -> tuple[str, ...]:
        alone = tuple(name for name in liftable if self._does_violation_fall(security, {name}))
        if alone:
            return alone
        if not self._does_violation_fall(security, set(liftable)):
            return liftable if self.violations[frozenset(liftable)] is None else (WHOLE_LOTS,)
        smallest = set(liftable)
        for name in liftable:
            if self._does_violation_fall(security, smallest - {name}):
                smallest.discard(name)
        return tuple(name for name in liftable if name in smallest)

    def _list_liftable(self) -> Iterator[str]:
        options = self.relaxed.options
        yield from options.restrictions
        if options.scope is not Scope.ALL:
            yield "scope"
        yield CASH_FLOOR
        if options.cash_ceiling is not None:
            yield "cash_ceiling"
        if options.groups:
            yield "groups"

    def _does_violation_fall(self, security: str, names: set[str]) -> bool:
        """Whether lifting these options lowers the violation of a security and the sum of all."""
        if not names:
            return False
        key = frozenset(names)
        if key not in self.violations:
            self.violations[key] = self._minimize_without(key)
        violations = self.violations[key]
        if violations is None or sum(violations.values()) >= sum(self.amounts.values()):
            return False
        return violations.get(security, Fraction(0)) < self.amounts[security]

    def _minimize_without(self, names: frozenset[str]) -> Amounts | None:
        """Minimise the violations without these options; None if there is no plan in time."""
        relaxed, coupled = self._restate_without(names)
        try:
            least = least_violation(coupled, self.budget)
        except (NoSolutionInTimeError, CertificationError):
            return None
        return None if least is None else measure_outside(relaxed, coupled, least.lots)

    def _restate_without(self, names: frozenset[str]) -> tuple[SeparableRelaxation, CoupledProblem]:
        options = self.relaxed.options.lift(name for name in names if name != CASH_FLOOR)
        relaxed = restate(self.relaxed, self.row, options, bands_yield=True)
        coupled = CoupledProblem.from_relaxation(relaxed, 0)
        if CASH_FLOOR in names:
            # The lifted floor is below every plan's cash, because no plan may violate it.
            worth = abs(coupled.cash_problem.base) + sum(
                map(abs, compute_worth(coupled.block, coupled.bounds[1]))
            )
            coupled = replace(
                coupled, constraints=replace(coupled.constraints, cash_least=Fraction(-2 * worth))
            )
        return relaxed, soften_bands(coupled)

    def _measure_closest(self) -> Amounts:
        """Violation of each security at the whole shares closest to its band."""
        portfolio = self.relaxed.assembled.portfolios[self.row]
        block, violations = self.coupled.block, dict[str, Fraction]()
        rows = zip(self.relaxed.assembled.securities, compute_edges(block), strict=True)
        for security, (low, high) in rows:
            price = Fraction(security.price) * 10**block.decimals
            shares = Fraction(portfolio.holdings.get(security.security_id, Decimal(0)))
            part = shares - shares // 1
            near = {
                max(int((edge / price - part) // 1) + step, 0)
                for edge in (low, high)
                for step in (0, 1)
            }
            values = [(lots + part) * price for lots in near]
            least = min(max(low - value, value - high, Fraction(0)) for value in values)
            violations[security.security_id] = least / 10**block.decimals
        return violations
