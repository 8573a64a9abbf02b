"""rebalance(...): separable, then the cash row, within a time budget; every answer verified exactly."""

from collections.abc import Sequence

import numpy as np

from optimization.assembly import Assembled, assemble, is_whole, others_of, priced
from optimization.certificate import Certificate, Method, Proof, broken
from optimization.errors import (
    CertificationError,
    NoSolutionInTimeError,
    OptimizationError,
)
from optimization.infeasibility import refused
from optimization.model import Model
from optimization.options import RebalanceOptions
from optimization.portfolio import Portfolio
from optimization.problem import Bands, bands
from optimization.result import Rebalance, Security
from optimization.separable import Separable, drift_of, solve
from optimization.tight import Tight, solve_tight
from optimization.units import to_decimal

BLOCK_SIZE = 2048
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
    """
    answers: dict[int, Answer] = {}
    together = [
        place
        for place, portfolio in enumerate(portfolios)
        if portfolio.prices is portfolios[0].prices and is_whole(portfolio)
    ]
    for first in range(0, len(together), BLOCK_SIZE):
        places = together[first : first + BLOCK_SIZE]
        assembled = assemble(securities, (), [portfolios[place] for place in places], options)
        answers.update(zip(places, _answers(assembled, options), strict=True))
    for place in set(range(len(portfolios))).difference(together):
        others = others_of(securities, portfolios[place])
        assembled = assemble(securities, others, [portfolios[place]], options)
        answers[place] = _answers(assembled, options)[0]
    return [answers[place] for place in range(len(portfolios))]


def _answers(assembled: Assembled, options: RebalanceOptions) -> list[Answer]:
    block = assembled.block
    where = bands(block)
    separable = solve(block, where)
    drifts = drift_of(block, where, separable.lots)
    fast = separable.admits & (separable.invested <= block.investable)
    wrong: list[bool] = np.any(broken(block, separable.lots), axis=1).tolist()
    scale = block.decimals + len(str(block.denominator)) - 1
    answers: list[Answer] = []
    for row, is_fast in enumerate(fast.tolist()):
        if is_fast and wrong[row]:
            answers.append(_uncertified(assembled, row, "separable"))
        elif is_fast:
            drift = to_decimal(drifts[row], scale)
            certificate = Certificate(Proof.OPTIMAL, Method.SEPARABLE, drift, drift)
            answers.append(assembled.rebalance(row, separable.lots[row], certificate))
        else:
            answers.append(_hard(assembled, where, separable, row, options))
    return answers


def _hard(
    assembled: Assembled, where: Bands, separable: Separable, row: int, options: RebalanceOptions
) -> Answer:
    """A portfolio with an empty band, or too little cash for its separable optimum."""
    block = assembled.block.rows([row])
    need = int(separable.invested[row]) - int(block.investable[0])
    portfolio_id = assembled.portfolios[row].portfolio_id
    tight = Tight(portfolio_id, block, where.rows([row]), separable.lots[row], need)
    try:
        plan = solve_tight(tight, options.time_limit_s) if separable.admits[row] else 0
    except (NoSolutionInTimeError, CertificationError) as error:
        return error
    if isinstance(plan, int):
        return assembled.rebalance(row, refusal=refused(tight, assembled, row, plan))
    if broken(block, plan.lots[None, :]).any():
        return _uncertified(assembled, row, plan.certificate.method)
    return assembled.rebalance(row, plan.lots, plan.certificate)


def _uncertified(assembled: Assembled, row: int, method: str) -> CertificationError:
    broken_by = f"the {method.lower()} plan breaks a constraint"
    return CertificationError(assembled.portfolios[row].portfolio_id, (broken_by,))
