"""rebalance(...): separable, then the cash row, within a time budget; every answer verified exactly."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal

import numpy as np

from optimization.assembly import Assembled, assemble, others_of, priced, whole_holdings
from optimization.binding import kept_from_nearest
from optimization.budget import Budget
from optimization.certificate import Certificate, Method, Proof, broken
from optimization.desk import Desk
from optimization.desk_plans import solve_desk, with_fewest_trades
from optimization.errors import (
    CertificationError,
    NoSolutionInTimeError,
    OptimizationError,
)
from optimization.infeasibility import refused
from optimization.model import Model
from optimization.options import RebalanceOptions
from optimization.portfolio import Portfolio
from optimization.problem import Bands, Block, bands
from optimization.restrictions import restricted, scoped
from optimization.result import Rebalance, Security
from optimization.separable import Separable, drift_of, solve
from optimization.terms import terms_of
from optimization.tight import Plan, Tight, solve_tight
from optimization.units import EXACT, to_decimal

BLOCK_SIZE = 512  # of 50 securities they stay in the processor's cache; larger blocks are slower
DEFAULTS = RebalanceOptions()

Answer = Rebalance | NoSolutionInTimeError | CertificationError


def rebalance(
    model: Model, portfolio: Portfolio, options: RebalanceOptions = DEFAULTS
) -> Rebalance:
    """The whole-share plan of least drift for one portfolio, or why there is none.

    Raises PricesMissingError, NoSolutionInTimeError and CertificationError.

    >>> from decimal import Decimal
    >>> from optimization.model import DriftBand, Target
    >>> target = Target("A" * 24, Decimal("0.9"), DriftBand(Decimal("0.05"), Decimal("0.05")))
    >>> held = Portfolio("P" * 24, Decimal(1000), {}, {"A" * 24: Decimal("31.50")})
    >>> rebalance(Model("Growth", (target,), ("P" * 24,)), held).transactions[0].quantity
    29
    """
    answer = rebalance_all(priced(model, portfolio.prices), [portfolio], options)[0]
    if isinstance(answer, OptimizationError):
        raise answer
    return answer


def rebalance_all(
    securities: tuple[Security, ...],
    portfolios: Sequence[Portfolio],
    options: RebalanceOptions = DEFAULTS,
) -> list[Answer]:
    """The plans of many portfolios of one model, in their order.

    ``securities`` is the model at the portfolios' price snapshot (see ``priced``). Whole holdings are
    solved in blocks, the others one by one; each answer is the same whatever it was solved with. A
    portfolio without a plan in time, or without one that passes verification, has that error here.

    >>> from optimization.model import DriftBand, Target
    >>> target = Target("A" * 24, Decimal("0.9"), DriftBand(Decimal("0.05"), Decimal("0.05")))
    >>> prices = {"A" * 24: Decimal("31.50")}
    >>> securities = priced(Model("Growth", (target,), ("P" * 24, "Q" * 24)), prices)
    >>> accounts = [Portfolio(one * 24, Decimal(1000), {}, prices) for one in "PQ"]
    >>> [answer.transactions[0].quantity for answer in rebalance_all(securities, accounts)]
    [29, 29]
    """
    if options.cash_flow:
        portfolios = [_with_flow(portfolio, options.cash_flow) for portfolio in portfolios]
    answers: dict[int, Answer] = {}
    together = {} if options.restricts or options.couples else _blockable(portfolios)
    blockable = list(together)
    for first in range(0, len(blockable), BLOCK_SIZE):
        places = blockable[first : first + BLOCK_SIZE]
        some, whole = [portfolios[place] for place in places], [together[place] for place in places]
        assembled = assemble(securities, (), some, options, whole)
        answers.update(zip(places, _answers(assembled, options), strict=True))
    for place in set(range(len(portfolios))).difference(together):
        others = others_of(securities, portfolios[place])
        assembled = assemble(securities, others, [portfolios[place]], options)
        answers[place] = _answers(assembled, options)[0]
    return [answers[place] for place in range(len(portfolios))]


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


def _answers(assembled: Assembled, options: RebalanceOptions) -> list[Answer]:
    block = assembled.block
    if options.restricts:
        block = restricted(block, assembled.securities, options)
    where = bands(block)
    block = scoped(block, where, options)
    separable = solve(block, where)
    drifts = drift_of(block, where, separable.lots)
    fast = separable.admits & (separable.invested <= block.investable) & (not options.couples)
    wrong: list[bool] = np.any(broken(block, separable.lots), axis=1).tolist()
    scale = block.decimals + len(str(block.denominator)) - 1
    clipped: list[bool] = separable.clipped.tolist()
    answers: list[Answer] = []
    for row, is_fast in enumerate(fast.tolist()):
        if is_fast and wrong[row]:
            answers.append(_uncertified(assembled, row, "separable"))
        elif is_fast:
            drift, lots = to_decimal(drifts[row], scale), separable.lots[row]
            certificate = Certificate(Proof.OPTIMAL, Method.SEPARABLE, drift, drift)
            if clipped[row]:
                one = block.rows([row]), where.rows([row])
                kept = kept_from_nearest(*one, lots, assembled.securities, options)
                certificate = replace(certificate, binding=kept)
            answers.append(assembled.rebalance(row, lots, certificate))
        else:
            answers.append(_hard(assembled, block, where, separable, row, options))
    return answers


def _hard(
    assembled: Assembled,
    whole: Block,
    where: Bands,
    separable: Separable,
    row: int,
    options: RebalanceOptions,
) -> Answer:
    """A portfolio with coupling options, an empty band, or too little cash for its separable optimum."""
    block, portfolio = whole.rows([row]), assembled.portfolios[row]
    need = int(separable.invested[row]) - int(block.investable[0])
    one = where.rows([row])
    tight = Tight(portfolio.portfolio_id, block, one, separable.lots[row], need)
    terms = terms_of(options, portfolio, block, assembled.securities, assembled.lots)
    desk = Desk(tight, terms)
    try:
        plan = _plan(desk, options, admits=bool(separable.admits[row]))
    except (NoSolutionInTimeError, CertificationError) as error:
        return error
    if plan is None:
        return assembled.rebalance(row, refusal=refused(desk, assembled, row, options))
    if not desk.keeps_bands(plan.lots) or desk.evaluated(plan.lots).broken:
        return _uncertified(assembled, row, plan.certificate.method)
    kept = kept_from_nearest(block, one, plan.lots, assembled.securities, options)
    certificate = replace(plan.certificate, binding=plan.certificate.binding + kept)
    return assembled.rebalance(row, plan.lots, certificate, cost=plan.cost)


def _plan(desk: Desk, options: RebalanceOptions, *, admits: bool) -> Plan | None:
    budget = Budget(options.time_limit_s)
    if options.couples:
        return solve_desk(desk, budget, fewest_trades=options.fewest_trades)
    plan = solve_tight(desk.tight, budget) if admits else None
    if plan is None or not options.fewest_trades:
        return plan
    return with_fewest_trades(desk, plan, budget)


def _uncertified(assembled: Assembled, row: int, method: str) -> CertificationError:
    broken_by = f"the {method.lower()} plan breaks a constraint"
    return CertificationError(assembled.portfolios[row].portfolio_id, (broken_by,))
