"""rebalance and rebalance_all: find a plan for each portfolio and verify it exactly.

The separable optimum answers most portfolios in blocks. The others get a search, within a time
budget: the cash row alone, coupling options, costs, or bands that yield.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import ROUND_FLOOR
from functools import partial
from typing import Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from optimization.domain.certificate import Binding, Certificate, Method, Proof
from optimization.domain.model import Model
from optimization.domain.numbers import EXACT
from optimization.domain.options import DEFAULTS, RebalanceOptions
from optimization.domain.outcome import PortfolioOutcome
from optimization.domain.portfolio import Portfolio, PricedTarget, price_targets
from optimization.domain.rules import (
    MODEL_RULE,
    OPTIONS_RULE,
    PORTFOLIO_RULE,
    SECURITIES_RULE,
    read_items,
    require_type,
)
from optimization.errors import (
    OptimizationError,
    SolverInterruptedError,
)
from optimization.exact.block import BLOCK_SIZE
from optimization.exact.block_builder import build_block
from optimization.exact.block_with_ids import BlockWithIds, find_blockable
from optimization.exact.restrictions import keeps_outside
from optimization.exact.scaled_integers import ModelUnits, parts_to_decimal, to_decimal
from optimization.exact.verification import violated_constraints
from optimization.explain.binding_constraints import add_binding_bands, find_binding_rows
from optimization.milp.programs import load_solver
from optimization.row_outcomes import answer_rows
from optimization.search import Answer, make_answer, make_certification_error, search_plan
from optimization.solvers.cash_constrained import Plan
from optimization.solvers.cash_rows import solve_cash_rows
from optimization.solvers.coupled_problem import CoupledProblem
from optimization.solvers.separable import SeparableRelaxation, relax, relax_alone
from optimization.time_budget import TimeBudget

MIN_ROWS = 16  # portfolios, because arrays cost more than objects for fewer

Search: TypeAlias = Callable[[TimeBudget], Answer]
"""A deferred search for a portfolio that its separable optimum does not answer."""


def rebalance(
    model: Model, portfolio: Portfolio, options: RebalanceOptions = DEFAULTS
) -> PortfolioOutcome:
    """Find the whole-share plan of least drift for one portfolio, or the reason why none exists.

    Drift is the sum of the distances of all securities from target, in currency; quantities are in
    shares, weights fractions of market value. A portfolio without a plan has the status INFEASIBLE,
    and its ``refusal`` names what would admit one. The prices are those of the portfolio.

    Raises PricesMissingError for a target without a price, NoSolutionInTimeError and
    CertificationError.

    >>> ira = Portfolio("ira", 1000, {}, {"VTI": 31.50})
    >>> rebalance(Model({"VTI": 0.9}, band=0.05), ira).transactions[0].quantity
    29
    """
    require_type(("model",), model, Model, MODEL_RULE)
    require_type(("portfolio",), portfolio, Portfolio, PORTFOLIO_RULE)
    answer = rebalance_all(price_targets(model, portfolio.prices), [portfolio], options)[0]
    if isinstance(answer, OptimizationError):
        raise answer
    return answer


def rebalance_all(
    securities: tuple[PricedTarget, ...],
    portfolios: Sequence[Portfolio],
    options: RebalanceOptions = DEFAULTS,
    budget: TimeBudget | None = None,
) -> list[Answer]:
    """Find the plans of many portfolios of one model, in their order.

    ``securities`` is the model at the portfolios' price snapshot (see ``price_targets``). Whole
    holdings are solved in blocks, the others one by one; an answer does not depend on its
    neighbours. A portfolio without a plan in time, or without a verified plan, has that error in
    its place.

    ``budget`` is shared by the portfolios that need a search; each takes at most its
    ``time_limit_s``. Raises SolverInterruptedError if the budget is interrupted.

    >>> from decimal import Decimal
    >>> prices = {"VTI": Decimal("31.50")}
    >>> securities = price_targets(Model({"VTI": 0.9}, band=0.05), prices)
    >>> accounts = [Portfolio(name, 1000, {}, prices) for name in ("ira", "401k")]
    >>> [answer.transactions[0].quantity for answer in rebalance_all(securities, accounts)]
    [29, 29]
    """
    _require_types(securities, portfolios, options)
    budget, units = budget or TimeBudget(), ModelUnits.from_targets(securities)
    answers = dict[int, Answer]()
    if len(portfolios) >= MIN_ROWS and not options.couples:
        paid = _add_cash_flow(portfolios, options)
        answers |= answer_rows(securities, paid, options, budget, units)
    unanswered = [place for place in range(len(portfolios)) if place not in answers]
    if unanswered:
        searched = [portfolios[place] for place in unanswered]
        results = search_all(securities, searched, options, budget, units)
        answers |= zip(unanswered, results, strict=True)
    return [answers[place] for place in range(len(portfolios))]


def search_all(
    securities: tuple[PricedTarget, ...],
    portfolios: Sequence[Portfolio],
    options: RebalanceOptions,
    budget: TimeBudget,
    units: ModelUnits | None = None,
) -> list[Answer]:
    """Find the plans of a few portfolios, or of those that the arrays leave unanswered."""
    portfolios, units = (
        _add_cash_flow(portfolios, options),
        units or ModelUnits.from_targets(securities),
    )
    answers: dict[int, Answer] = {}
    searches: dict[int, Search] = {}
    for place, result in _find_answers_or_searches(securities, portfolios, options, budget, units):
        if budget.is_interrupted:
            raise SolverInterruptedError
        if callable(result):
            searches[place] = result
        else:
            answers[place] = result
    # After the loop above, because only then is it known how many portfolios share the budget.
    answers |= _run_searches(searches, budget, options.time_limit_s)
    return [answers[place] for place in range(len(portfolios))]


def rebalance_at_once(
    securities: tuple[PricedTarget, ...],
    portfolios: Sequence[Portfolio],
    options: RebalanceOptions = DEFAULTS,
) -> list[Answer] | None:
    """Find the plans of portfolios that need no search; None if one of them needs a search.

    The answers equal those of ``rebalance_all``, and each is a separable optimum inside every band.
    The time is linear in the securities, about 20 µs for each. A cover of the cash row counts as a
    search here, because its time has no such bound. The solver is not loaded.

    >>> from decimal import Decimal
    >>> prices = {"VTI": Decimal("31.50")}
    >>> securities = price_targets(Model({"VTI": 0.9}, band=0.05), prices)
    >>> answers = rebalance_at_once(securities, [Portfolio("ira", 1000, {}, prices)])
    >>> [answer.transactions[0].quantity for answer in answers or ()]
    [29]
    """
    _require_types(securities, portfolios, options)
    if options.couples:
        return None
    portfolios = _add_cash_flow(portfolios, options)
    answers: dict[int, Answer] = {}
    results = _find_answers_or_searches(
        securities,
        portfolios,
        options,
        TimeBudget(),
        ModelUnits.from_targets(securities),
        at_once=True,
    )
    for place, result in results:
        if callable(result):
            return None
        answers[place] = result
    return [answers[place] for place in range(len(portfolios))]


def _require_types(securities: object, portfolios: object, options: object) -> None:
    read_items(("securities",), securities, PricedTarget, SECURITIES_RULE)
    read_items(("portfolios",), portfolios, Portfolio, PORTFOLIO_RULE)
    require_type(("options",), options, RebalanceOptions, OPTIONS_RULE)


def _run_searches(
    searches: Mapping[int, Search], budget: TimeBudget, time_limit_s: float
) -> dict[int, Answer]:
    answers: dict[int, Answer] = {}
    if searches:
        load_solver()  # before a share of the budget begins, because loading takes seconds
    for waiting, place in zip(range(len(searches), 0, -1), searches, strict=True):
        if budget.is_interrupted:
            raise SolverInterruptedError
        answers[place] = searches[place](budget.share(waiting, time_limit_s))
    return answers


def _find_answers_or_searches(
    securities: tuple[PricedTarget, ...],
    portfolios: Sequence[Portfolio],
    options: RebalanceOptions,
    budget: TimeBudget,
    units: ModelUnits,
    *,
    at_once: bool = False,
) -> Iterator[tuple[int, Answer | Search]]:
    """Yield the place of each portfolio with its answer, or with the search that it needs.

    With ``at_once``, every answer except a separable optimum is left to a search.
    """
    together = find_blockable(securities, portfolios, options, units)
    alone = sorted(set(range(len(portfolios))).difference(together))
    blockable = list(together)
    for first in range(0, len(blockable), BLOCK_SIZE):
        places = blockable[first : first + BLOCK_SIZE]
        whole = [together[place] for place in places]
        neighbours = [portfolios[place] for place in places]
        assembled = build_block(securities, (), neighbours, options, whole, units)
        answers = _answer_block(assembled, options, budget, at_once=at_once)
        for place, answer in zip(places, answers, strict=True):
            # Restrictions send it back, because its search needs other holdings as columns.
            if callable(answer) and options.restricts:
                alone.append(place)
            else:
                yield place, answer
    for place in alone:
        others = units.others.price_holdings(portfolios[place])
        assembled = build_block(securities, others, [portfolios[place]], options, units=units)
        answers = _answer_block(assembled, options, budget, is_alone=True, at_once=at_once)
        yield place, answers[0]


def _add_cash_flow(
    portfolios: Sequence[Portfolio], options: RebalanceOptions
) -> Sequence[Portfolio]:
    flow = options.cash_flow
    if not flow:
        return portfolios
    return [replace(portfolio, cash=EXACT.add(portfolio.cash, flow)) for portfolio in portfolios]


def _answer_block(
    assembled: BlockWithIds,
    options: RebalanceOptions,
    budget: TimeBudget,
    *,
    is_alone: bool = False,
    at_once: bool = False,
) -> list[Answer | Search]:
    relaxed = relax(assembled, options)
    block, separable = relaxed.block, relaxed.separable
    fast = separable.admits & (separable.invested <= block.investable) & (not options.couples)
    if options.restricts and (at_once or not is_alone):
        fast &= ~keeps_outside(block, separable.lots)
    wrong: list[bool] = np.any(violated_constraints(block, separable.lots), axis=1).tolist()
    covers = {} if at_once or bool(fast.all()) else _find_covers(relaxed, budget)
    separable_answers = _SeparableAnswers.from_relaxation(relaxed, fast, budget)
    answers: list[Answer | Search] = []
    for row, is_fast in enumerate(fast.tolist()):
        if is_fast and wrong[row]:
            answers.append(make_certification_error(assembled, row, "separable"))
        elif is_fast:
            answers.append(separable_answers.answer_row(row))
        elif row in covers:
            answers.append(assembled.make_outcome(row, covers[row].lots, covers[row].certificate))
        else:
            answers.append(partial(search_plan, relaxed, row))
    return answers


def _find_covers(relaxed: SeparableRelaxation, budget: TimeBudget) -> dict[int, Plan]:
    """Find the verified plans of portfolios whose only binding row is the cash row, by row."""
    options = relaxed.options
    if options.restricts or options.couples or options.fewest_trades:
        return {}
    plans = solve_cash_rows(relaxed.block, relaxed.bands, relaxed.separable, budget)
    is_finer = relaxed.block.decimals > relaxed.assembled.units.decimals
    if options.cash_floor and is_finer:
        plans = {row: _round_slack_alone(relaxed, row, plan) for row, plan in plans.items()}
    securities = relaxed.assembled.securities
    return add_binding_bands(plans, relaxed.block, relaxed.bands, securities, options)


def _round_slack_alone(relaxed: SeparableRelaxation, row: int, plan: Plan) -> Plan:
    """Round the slack of the cash floor as for the portfolio alone.

    A floor is rounded up to a whole unit, and the unit of a block depends on the digits of all its
    portfolios.
    """
    (binding,) = plan.certificate.binding
    decimals = relax_alone(relaxed, row).block.decimals
    units = EXACT.scaleb(binding.slack, decimals).to_integral_value(ROUND_FLOOR)
    binding = replace(binding, slack=to_decimal(int(units), decimals))
    return replace(plan, certificate=replace(plan.certificate, binding=(binding,)))


@dataclass(frozen=True, slots=True, eq=False)
class _SeparableAnswers:
    """Answers of the rows of a block whose separable optimum satisfies every constraint."""

    relaxed: SeparableRelaxation
    lots: list[list[int]]  # one list a row
    drifts: list[int]  # one a row, units / denominator
    cash_after: list[int]  # one a row, units
    is_kept: list[bool] | None  # whether restrictions keep a row outside a band permanently
    # Key: row; rows without a binding constraint are absent.
    binding: Mapping[int, tuple[Binding, ...]]
    budget: TimeBudget  # of the call, which explanations share

    @classmethod
    def from_relaxation(
        cls, relaxed: SeparableRelaxation, fast: NDArray[np.bool_], budget: TimeBudget
    ) -> Self:
        """Prepare the answers of the ``fast`` rows, all at once."""
        block, separable, options = relaxed.block, relaxed.separable, relaxed.options
        binding: dict[int, tuple[Binding, ...]] = {}
        if rows := np.flatnonzero(fast & separable.clipped).tolist():
            binding_rows = find_binding_rows(
                block.select_rows(rows),
                relaxed.bands.select_rows(rows),
                separable.lots[rows],
                relaxed.assembled.securities,
                options,
            )
            binding = {row: binding_rows.read_row(place) for place, row in enumerate(rows)}
        kept = keeps_outside(block, separable.lots).tolist() if options.restricts else None
        cash_after = (block.market_value - separable.invested).tolist()
        lots: list[list[int]] = separable.lots.tolist()
        return cls(relaxed, lots, relaxed.drifts, cash_after, kept, binding, budget)

    def answer_row(self, row: int) -> Answer:
        """Answer one portfolio."""
        relaxed, block = self.relaxed, self.relaxed.block
        drift = parts_to_decimal(self.drifts[row], block.denominator, block.decimals)
        binding = self.binding.get(row, ())
        certificate = Certificate(Proof.OPTIMAL, Method.SEPARABLE, drift, drift, binding)
        if self.is_kept and self.is_kept[row]:
            plan = Plan(relaxed.separable.lots[row], certificate)
            coupled = CoupledProblem.from_relaxation(relaxed, row)
            return make_answer(relaxed, row, coupled, plan, self.budget)
        cash_after = to_decimal(self.cash_after[row], block.decimals)
        return relaxed.assembled.make_plan(row, self.lots[row], cash_after, certificate)
