"""rebalance(...): separable, then the cash row, within a time budget; every answer verified exactly."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from functools import partial
from typing import TypeAlias

import numpy as np

from optimization.after_costs import do_bands_yield, plan_after_costs
from optimization.domain.certificate import Certificate, Method, Proof
from optimization.domain.decimals import EXACT
from optimization.domain.model import Model
from optimization.domain.options import RebalanceOptions, Scope
from optimization.domain.outcome import OutsideBand, PortfolioOutcome, PricedTarget
from optimization.domain.portfolio import Portfolio
from optimization.errors import (
    CertificationError,
    NoSolutionInTimeError,
    OptimizationError,
    SolverInterruptedError,
)
from optimization.exact.block_builder import (
    BlockWithIds,
    build_block,
    price_others,
    price_targets,
    whole_holdings,
)
from optimization.exact.scaled_integers import parts_to_decimal
from optimization.exact.verification import violated_constraints
from optimization.explain.binding_constraints import find_binding_constraints
from optimization.explain.infeasibility import explain_refusal
from optimization.explain.outside_band import outside_bands, total_outside
from optimization.solvers.cash_constrained import Plan
from optimization.solvers.coupled import solve_at_base
from optimization.solvers.coupled_problem import CoupledProblem
from optimization.solvers.relaxation import SeparableRelaxation, relax
from optimization.solvers.yielding_bands import solve_yielding, yielding
from optimization.time_budget import Budget

BLOCK_SIZE = 512  # of 50 securities they stay in the processor's cache; larger blocks are slower
DEFAULTS = RebalanceOptions()
NO_VIOLATION = Decimal("0.00")
NOT_AFTER_COSTS = (
    "No feasible solution exists: no plan keeps every band and limit once its own costs are paid, "
    "and is left alone by the next request."
)

Answer: TypeAlias = PortfolioOutcome | NoSolutionInTimeError | CertificationError
Search: TypeAlias = Callable[[Budget], Answer]
"""The rest of the work on a portfolio for which the separable optimum is not enough."""


def rebalance(
    model: Model, portfolio: Portfolio, options: RebalanceOptions = DEFAULTS
) -> PortfolioOutcome:
    """The whole-share plan of least drift for one portfolio, or why there is none.

    Raises PricesMissingError, NoSolutionInTimeError and CertificationError.

    >>> from decimal import Decimal
    >>> from optimization.domain.model import DriftBand, Target
    >>> target = Target("A" * 24, Decimal("0.9"), DriftBand(Decimal("0.05"), Decimal("0.05")))
    >>> held = Portfolio("P" * 24, Decimal(1000), {}, {"A" * 24: Decimal("31.50")})
    >>> rebalance(Model("Growth", (target,), ("P" * 24,)), held).transactions[0].quantity
    29
    """
    answer = rebalance_all(price_targets(model, portfolio.prices), [portfolio], options)[0]
    if isinstance(answer, OptimizationError):
        raise answer
    return answer


def rebalance_all(
    securities: tuple[PricedTarget, ...],
    portfolios: Sequence[Portfolio],
    options: RebalanceOptions = DEFAULTS,
    budget: Budget | None = None,
) -> list[Answer]:
    """The plans of many portfolios of one model, in their order.

    ``securities`` is the model at the portfolios' price snapshot (see ``priced``). Whole holdings are
    solved in blocks, the others one by one; each answer is the same whatever it was solved with. A
    portfolio without a plan in time, or without one that passes verification, has that error here.

    ``budget`` is shared by the portfolios that need a search; each has at most its ``time_limit_s``.
    Raises SolverInterruptedError if the budget is interrupted.

    >>> from optimization.domain.model import DriftBand, Target
    >>> target = Target("A" * 24, Decimal("0.9"), DriftBand(Decimal("0.05"), Decimal("0.05")))
    >>> prices = {"A" * 24: Decimal("31.50")}
    >>> securities = price_targets(Model("Growth", (target,), ("P" * 24, "Q" * 24)), prices)
    >>> accounts = [Portfolio(one * 24, Decimal(1000), {}, prices) for one in "PQ"]
    >>> [answer.transactions[0].quantity for answer in rebalance_all(securities, accounts)]
    [29, 29]
    """
    if options.cash_flow:
        portfolios = [_with_flow(portfolio, options.cash_flow) for portfolio in portfolios]
    budget = budget or Budget()
    answers: dict[int, Answer] = {}
    searches: dict[int, Search] = {}
    for place, found in _found(securities, portfolios, options):
        if budget.is_interrupted:
            raise SolverInterruptedError
        if callable(found):
            searches[place] = found
        else:
            answers[place] = found
    # Only now is it known how many portfolios share the budget.
    for left, place in zip(range(len(searches), 0, -1), searches, strict=True):
        if budget.is_interrupted:
            raise SolverInterruptedError
        answers[place] = searches[place](budget.share(left, options.time_limit_s))
    return [answers[place] for place in range(len(portfolios))]


def _found(
    securities: tuple[PricedTarget, ...], portfolios: Sequence[Portfolio], options: RebalanceOptions
) -> Iterator[tuple[int, Answer | Search]]:
    """The answer for each portfolio that has one without a search, by its place."""
    together = {} if options.restricts or options.couples else _blockable(portfolios)
    blockable = list(together)
    for first in range(0, len(blockable), BLOCK_SIZE):
        places = blockable[first : first + BLOCK_SIZE]
        some, whole = [portfolios[place] for place in places], [together[place] for place in places]
        assembled = build_block(securities, (), some, options, whole)
        yield from zip(places, _answers(assembled, options), strict=True)
    for place in set(range(len(portfolios))).difference(together):
        others = price_others(securities, portfolios[place])
        assembled = build_block(securities, others, [portfolios[place]], options)
        yield place, _answers(assembled, options)[0]


def _with_flow(portfolio: Portfolio, flow: Decimal) -> Portfolio:
    return replace(portfolio, cash=EXACT.add(portfolio.cash, flow))


def _blockable(portfolios: Sequence[Portfolio]) -> dict[int, Mapping[str, int]]:
    """The portfolios that can share arrays, by their places: one price mapping, whole shares."""
    found: dict[int, Mapping[str, int]] = {}
    for place, portfolio in enumerate(portfolios):
        if portfolio.prices is portfolios[0].prices:
            whole = whole_holdings(portfolio)
            if whole is not None:
                found[place] = whole
    return found


def _answers(assembled: BlockWithIds, options: RebalanceOptions) -> list[Answer | Search]:
    relaxed = relax(assembled, options)
    block, separable = relaxed.block, relaxed.separable
    fast = separable.admits & (separable.invested <= block.investable) & (not options.couples)
    wrong: list[bool] = np.any(violated_constraints(block, separable.lots), axis=1).tolist()
    answers: list[Answer | Search] = []
    for row, is_fast in enumerate(fast.tolist()):
        if is_fast and wrong[row]:
            answers.append(_uncertified(assembled, row, "separable"))
        elif is_fast:
            answers.append(_separable(relaxed, row))
        else:
            answers.append(partial(_coupled, relaxed, row))
    return answers


def _separable(relaxed: SeparableRelaxation, row: int) -> Answer:
    """A portfolio whose separable optimum keeps every row."""
    assembled, block, separable = relaxed.assembled, relaxed.block, relaxed.separable
    drift = parts_to_decimal(relaxed.drifts[row], block.denominator, block.decimals)
    lots = separable.lots[row]
    certificate = Certificate(Proof.OPTIMAL, Method.SEPARABLE, drift, drift)
    if separable.clipped[row]:
        one = block.rows([row]), relaxed.bands.rows([row])
        kept = find_binding_constraints(*one, lots, assembled.securities, relaxed.options)
        certificate = replace(certificate, binding=kept)
    if not relaxed.options.restricts:
        return assembled.rebalance(row, lots, certificate)
    return _answer(relaxed, row, relaxed.coupled(row), Plan(lots, certificate), Budget())


def _coupled(relaxed: SeparableRelaxation, row: int, budget: Budget) -> Answer:
    """A portfolio with coupling options, an empty band, or too little cash for its separable optimum."""
    assembled, options = relaxed.assembled, relaxed.options
    try:
        relaxed, coupled, plan = _solved(relaxed, row, budget)
    except (NoSolutionInTimeError, CertificationError) as error:
        return error
    if plan is None:
        refusal = explain_refusal(relaxed, row, budget)
        if options.has_costs and not (refusal.members["securities"] or refusal.members["limits"]):
            refusal = replace(refusal, detail=NOT_AFTER_COSTS)
        return assembled.rebalance(row, refusal=refusal)
    if not coupled.keeps_bands(plan.lots) or coupled.evaluate(plan.lots).broken:
        return _uncertified(assembled, row, plan.certificate.method)
    tight, yields = coupled.tight, coupled.terms.bands_yield
    one = tight.block, tight.bands, plan.lots
    kept = find_binding_constraints(*one, assembled.securities, options, bands_yield=yields)
    certificate = replace(plan.certificate, binding=plan.certificate.binding + kept)
    return _answer(relaxed, row, coupled, replace(plan, certificate=certificate), budget)


def _solved(
    relaxed: SeparableRelaxation, row: int, budget: Budget
) -> tuple[SeparableRelaxation, CoupledProblem, Plan | None]:
    """The plan of one portfolio, with bands that hold or, where that leaves none, yield; and what it is stated at."""
    options = relaxed.options
    coupled, plan = _planned(relaxed, row, budget, bands_yield=False)
    if plan is not None or not do_bands_yield(relaxed, row, budget):
        return relaxed, coupled, plan
    if options.scope is not Scope.ALL:
        relaxed = relax(relaxed.assembled, options, bands_yield=True)
    return relaxed, *_planned(relaxed, row, budget, bands_yield=True)


def _planned(
    relaxed: SeparableRelaxation, row: int, budget: Budget, *, bands_yield: bool
) -> tuple[CoupledProblem, Plan | None]:
    options = relaxed.options
    if options.has_costs:
        return plan_after_costs(relaxed, budget, bands_yield=bands_yield)
    coupled = relaxed.coupled(row)
    if not bands_yield:
        return coupled, solve_at_base(coupled, options, budget)
    coupled = yielding(coupled)
    return coupled, solve_yielding(coupled, budget, fewest_trades=options.fewest_trades)


def _answer(
    relaxed: SeparableRelaxation, row: int, coupled: CoupledProblem, plan: Plan, budget: Budget
) -> Answer:
    """The answer that a plan is, with what it leaves outside its bands."""
    certificate, outside = plan.certificate, tuple[OutsideBand, ...]()
    total = total_outside(coupled, plan.lots)
    if coupled.terms.soft_price is None:  # bands hold, and what is kept for good is outside them
        certificate = replace(certificate, violation=total, violation_lower_bound=total)
    elif relaxed.options.soft_band_price is not None:  # of 0, too
        certificate = replace(certificate, violation=total)
    elif certificate.other_base is not None:  # of a cycle: what is least is known at the other base
        certificate = replace(certificate, violation=total, violation_lower_bound=NO_VIOLATION)
    elif certificate.violation != total:
        return _uncertified(relaxed.assembled, row, certificate.method)
    if total:
        if relaxed.options.has_costs:  # what is outside is so at the base that the plan leaves
            relaxed = relax(relaxed.assembled, relaxed.options, coupled.tight.block.costs)
        outside = outside_bands(relaxed, row, coupled, plan.lots, budget)
    return relaxed.assembled.rebalance(
        row, plan.lots, certificate, cost=plan.cost, outside_band=outside
    )


def _uncertified(assembled: BlockWithIds, row: int, method: str) -> CertificationError:
    broken_by = f"the {method.lower()} plan breaks a constraint"
    return CertificationError(assembled.portfolios[row].portfolio_id, (broken_by,))
