"""rebalance(...): separable, then the cash row, within a time budget; every answer verified exactly."""

from collections.abc import Sequence

import numpy as np

from optimization.assembly import Assembled, assemble, is_whole, others_of, priced
from optimization.certificate import Certificate, Method, Proof, broken
from optimization.errors import CertificationError
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
    return rebalance_all(priced(model, portfolio.prices), [portfolio], options)[0]


def rebalance_all(
    securities: tuple[Security, ...],
    portfolios: Sequence[Portfolio],
    options: RebalanceOptions = DEFAULTS,
) -> list[Rebalance]:
    """The plans of many portfolios of one model, in their order.

    ``securities`` is the model at the portfolios' price snapshot (see ``priced``). Whole holdings are
    solved in blocks, the others one by one; each answer is the same whatever it was solved with.
    """
    answers: dict[int, Rebalance] = {}
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


def _answers(assembled: Assembled, options: RebalanceOptions) -> list[Rebalance]:
    block = assembled.block
    where = bands(block)
    separable = solve(block, where)
    drifts = drift_of(block, where, separable.lots)
    fast = separable.admits & (separable.invested <= block.investable)
    wrong = fast & broken(block, separable.lots).any(axis=1)
    if wrong.any():
        first = assembled.portfolios[int(np.argmax(wrong))]
        raise CertificationError(first.portfolio_id, ("the separable optimum",))
    scale = block.decimals + len(str(block.denominator)) - 1
    answers: list[Rebalance] = []
    for row, is_fast in enumerate(fast.tolist()):
        if is_fast:
            drift = to_decimal(drifts[row], scale)
            certificate = Certificate(Proof.OPTIMAL, Method.SEPARABLE, drift, drift)
            answers.append(assembled.rebalance(row, separable.lots[row], certificate))
        else:
            answers.append(_hard(assembled, where, separable, row, options))
    return answers


def _hard(
    assembled: Assembled, where: Bands, separable: Separable, row: int, options: RebalanceOptions
) -> Rebalance:
    """A portfolio with an empty band, or too little cash for its separable optimum."""
    block = assembled.block.rows([row])
    need = int(separable.invested[row]) - int(block.investable[0])
    portfolio_id = assembled.portfolios[row].portfolio_id
    tight = Tight(portfolio_id, block, where.rows([row]), separable.lots[row], need)
    plan = solve_tight(tight, options.time_limit_s) if separable.admits[row] else 0
    if isinstance(plan, int):
        return assembled.rebalance(row, refusal=refused(tight, assembled, row, plan))
    if broken(block, plan.lots[None, :]).any():
        raise CertificationError(portfolio_id, (f"the {plan.certificate.method} plan",))
    return assembled.rebalance(row, plan.lots, plan.certificate)
