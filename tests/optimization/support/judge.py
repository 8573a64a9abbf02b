"""Independent judge of an answer: the rules it breaks, and the best answer, from the inputs alone.

Small problems are enumerated in whole numbers. Larger problems go to scipy.optimize.milp in a
formulation that shares nothing with the engine's: a binary variable for each change of each
security, with exactly one taken, so that |.|, minimum trades, costs and soft bands are only numbers
in columns. SciPy's plans are evaluated exactly, because SciPy computes in floats; its bound is a
float.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import scipy.optimize
import scipy.sparse

from optimization.domain.outcome import PortfolioOutcome
from tests.optimization.support.consistency import TooManyPlansError, right_plans
from tests.optimization.support.generated_problems import Problem
from tests.optimization.support.options_oracle import Stated, stated
from tests.optimization.support.oracle import INFEASIBLE, OPTIMAL

MAX_ENUMERATED = 300_000
CENT = Fraction(1, 100)
WITHIN = Fraction(1, 1000)  # currency: tolerance for the other solver's floats
EXACT = Fraction(0)
STOPPED = 1  # scipy.optimize.milp: by the time limit
# An odd factor for costs, because with costs in whole cents HiGHS discards plans that are a cent
# better when it rounds sums.
OBJECTIVE_SCALE = 1.1780972450961724


@dataclass(frozen=True)
class Best:
    """Exact objective of a plan, and a lower bound of all plans; None if unknown."""

    found: Fraction | None
    bound: Fraction | None
    infeasible: bool
    exact: bool


def of(problem: Problem, answer: PortfolioOutcome) -> Stated:
    """State the problem in whole numbers, at the base that the costs of the answer leave."""
    costs = Fraction(answer.cost)
    return stated(problem.model, problem.portfolio, problem.options, costs)


def violations(problem: Stated, answer: PortfolioOutcome) -> list[str]:
    """List the rules that the plan breaks, with a wrong objective among them."""
    change = {drift.security.security_id: drift for drift in answer.drifts}
    places: list[int] = []
    for (security_id, lot), changes in zip(problem.lots.items(), problem.changes, strict=True):
        traded = Fraction(change[security_id].change) / lot
        if traded not in changes:
            return [f"{security_id} may not change by {traded} lots"]
        places.append(changes.index(traded))
    objective, broken = problem.picked(places)
    if answer.certificate is None or objective != Fraction(answer.certificate.objective):
        broken.append(f"the objective is {float(objective)}")
    return broken


def best(problem: Stated, time_limit_s: float, near: Fraction | None = None) -> Best:
    """Find the independent answer; a gap of half a cent at ``near`` is small enough."""
    if problem.combinations <= MAX_ENUMERATED:
        least = problem.best()
        return Best(least, least, least is None, exact=True)
    alone = [int(np.argmin(part)) for part in problem.objective.parts]
    objective, broken = problem.picked(alone)
    if not broken:
        return Best(objective, objective, infeasible=False, exact=True)
    return _by_milp(problem, time_limit_s, near)


def judged(problem: Problem, answer: PortfolioOutcome, time_limit_s: float) -> str:
    """Compare the engine's answer with the independent one.

    Under costs a refusal claims that no plan keeps everything at its own base and stays unchanged.
    """
    certificate, near = answer.certificate, None
    if certificate is None and problem.options.has_costs:
        try:
            right = next(right_plans(problem.model, problem.portfolio, problem.options), None)
        except TooManyPlansError:
            return "undecided"
        return "agreed" if right is None else f"difference: refused, {right} exists"
    if certificate is not None:
        near = Fraction(certificate.objective)
    return compared(answer, best(of(problem, answer), time_limit_s, near))


def compared(answer: PortfolioOutcome, independent: Best) -> str:
    """Compare an answer with the independent one at its own base."""
    certificate, found, bound = answer.certificate, independent.found, independent.bound
    if certificate is None:
        if found is not None:
            return f"difference: refused, a plan of {float(found)} exists"
        return "agreed" if independent.infeasible else "undecided"
    ours, exact = Fraction(certificate.objective), independent.exact
    allowed = Fraction(certificate.gap)
    if found is not None and ours > found + allowed:
        return f"difference: {float(ours - found):.6f} above a plan"
    if found is not None and Fraction(certificate.lower_bound) > found:
        return "difference: a lower bound above a plan"
    off = EXACT if exact else WITHIN
    if independent.infeasible or (bound is not None and ours < bound - off):
        # A verified plan disproves what floats claim.
        claim = "no plan" if bound is None else f"no plan below {float(bound):.6f}"
        return (
            f"{'difference' if exact else 'disproved'}: {float(ours):.6f}, where {claim} should be"
        )
    if bound is not None and ours <= bound + allowed + (EXACT if exact else CENT):
        return "agreed"
    return "undecided"


@dataclass(frozen=True, eq=False)
class _Choices:
    """A column for each change of each security, of which one is taken; money in currency."""

    cost: np.ndarray
    owner: np.ndarray  # the security of each column
    rows: np.ndarray  # rows @ x <= limits
    limits: np.ndarray

    @staticmethod
    def of(problem: Stated) -> "_Choices":
        rows: list[np.ndarray] = []
        limits: list[float] = []
        for limit in problem.limits:
            for bound, sign in ((limit.high, 1), (limit.low, -1)):
                if bound is not None:
                    rows.append(sign * _floats(problem, limit.parts))
                    limits.append(sign * bound / problem.unit)
        counts = [len(changes) for changes in problem.changes]
        owner = np.repeat(np.arange(len(counts)), counts)
        cost = _floats(problem, problem.objective.parts)
        return _Choices(cost, owner, np.array(rows), np.array(limits))

    @property
    def one_each(self) -> scipy.sparse.csr_array:
        shape = (int(self.owner.max()) + 1, len(self.owner))
        ones = np.ones(len(self.owner))
        return scipy.sparse.csr_array((ones, (self.owner, np.arange(len(ones)))), shape=shape)

    def useful(self, most: float) -> np.ndarray:
        """Columns that a plan of at most this objective may take, by the duals of the relaxation.

        For any prices y <= 0 of the rows, a plan costs at least y @ limits and for each security
        the least of its reduced costs: what lifts that above ``most`` is in no such plan.
        """
        relaxed = scipy.optimize.linprog(
            self.cost, self.rows, self.limits, self.one_each, np.ones(int(self.owner.max()) + 1)
        )
        if relaxed.status != OPTIMAL:
            return np.arange(len(self.cost))
        price = np.minimum(relaxed.ineqlin.marginals, 0.0)
        reduced = self.cost - price @ self.rows
        least = np.full(int(self.owner.max()) + 1, np.inf)
        np.minimum.at(least, self.owner, reduced)
        bound = price @ self.limits + least.sum()
        return np.flatnonzero(bound + reduced - least[self.owner] <= most)

    def least(self, columns: np.ndarray, gap: float, time_limit_s: float) -> Any:
        """Solve with these columns alone in SciPy."""
        one_each = self.one_each[:, columns]
        constraints = [
            scipy.optimize.LinearConstraint(one_each, 1, 1),
            scipy.optimize.LinearConstraint(self.rows[:, columns], -np.inf, self.limits),
        ]
        options = {"mip_rel_gap": gap, "time_limit": time_limit_s}
        # With presolve and without, because SciPy's HiGHS ends some problems with a solve error in
        # one of the two.
        for presolve in (True, False):
            answer = scipy.optimize.milp(
                self.cost[columns] * OBJECTIVE_SCALE,
                integrality=np.ones(len(columns)),
                bounds=scipy.optimize.Bounds(0, 1),
                constraints=constraints,
                options={**options, "presolve": presolve},
            )
            if answer.status in {OPTIMAL, INFEASIBLE, STOPPED}:
                break
        return answer


def _by_milp(problem: Stated, time_limit_s: float, near: Fraction | None) -> Best:
    choices = _Choices.of(problem)
    columns, gap = np.arange(len(choices.cost)), 0.0
    if near:
        columns, gap = choices.useful(float(near + CENT)), float(CENT / 2 / near)
    answer = choices.least(columns, gap, time_limit_s)
    if answer.status == INFEASIBLE:
        return Best(None, None, infeasible=True, exact=False)
    bound = answer.mip_dual_bound
    bound = None if bound is None or not np.isfinite(bound) else Fraction(bound / OBJECTIVE_SCALE)
    found = None if answer.x is None else _evaluated(problem, columns[answer.x > 1 / 2])
    return Best(found, bound, infeasible=False, exact=False)


def _floats(problem: Stated, parts: Sequence[np.ndarray]) -> np.ndarray:
    return np.array([number / problem.unit for part in parts for number in part.tolist()])


def _evaluated(problem: Stated, taken: np.ndarray) -> Fraction | None:
    """Exact objective of the other solver's plan; None if it violates a limit slightly."""
    first = np.cumsum([0, *(len(changes) for changes in problem.changes)])[:-1]
    objective, broken = problem.picked((taken - first).tolist())
    return None if broken else objective
