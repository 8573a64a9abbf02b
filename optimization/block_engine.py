"""rebalance_block: answer many portfolios of one model in arrays, from holdings to plans.

The separable optimum answers most portfolios, and a cover of the cash row answers most of the
others (row_plans.py). Rows that need a search become objects for search_all, and their answers are
merged back.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal

import numpy as np
from numpy.typing import NDArray

from optimization.domain.options import DEFAULTS, RebalanceOptions
from optimization.domain.outcome import Status
from optimization.domain.portfolio import PricedTarget, find_unpriced
from optimization.engine import Answer, search_all
from optimization.errors import PricesMissingError, RuleError
from optimization.exact.binding_rows import BindingRows
from optimization.exact.block_outcome import BESIDE, STATUSES, BlockOutcome
from optimization.exact.columns import PortfolioBlock
from optimization.exact.scaled_column import ScaledColumn
from optimization.exact.scaled_integers import narrow, to_units
from optimization.row_plans import RowPlans, solve_rows
from optimization.time_budget import TimeBudget

IN_BAND, REBALANCED = STATUSES.index(Status.IN_BAND), STATUSES.index(Status.REBALANCED)


def rebalance_block(
    securities: tuple[PricedTarget, ...],
    block: PortfolioBlock,
    options: RebalanceOptions = DEFAULTS,
    budget: TimeBudget | None = None,
) -> BlockOutcome:
    """Find the plans of a block of portfolios; plain answers stay in arrays.

    ``securities`` is the model at the prices of the block (see ``price_targets``). Each answer
    equals that of ``rebalance_all`` for the same portfolio and does not depend on the other rows.
    As in ``rebalance_all``, the rows that need a search share ``budget``.

    Raises PricesMissingError and RuleError if the model does not fit the block, and
    SolverInterruptedError if the budget is interrupted. A portfolio without a plan in time, or
    without a verified plan, has that error in ``beside``.

    >>> from decimal import Decimal
    >>> from optimization.domain.model import DriftBand
    >>> from optimization.exact.columns import OtherHoldings
    >>> band = DriftBand(Decimal("0.05"), Decimal("0.05"))
    >>> fund = PricedTarget("A" * 24, Decimal("31.50"), Decimal("0.9"), band)
    >>> cash = ScaledColumn(np.array([100_000, 900]), 2)
    >>> shares = ScaledColumn(np.array([[0], [25]]), 0)
    >>> accounts = PortfolioBlock(("P" * 24, "Q" * 24), cash, shares, OtherHoldings.none())
    >>> answer = rebalance_block((fund,), accounts)
    >>> answer.after.units.tolist(), [str(answer.cash_after.value(row)) for row in (0, 1)]
    ([[29], [23]], ['86.5', '72.0'])
    """
    _require_match(securities, block)
    budget = budget or TimeBudget()
    paid = block if not options.cash_flow else _add_cash_flow(block, options.cash_flow)
    parts = list(solve_rows(securities, paid, options, budget))
    is_unanswered = np.ones(len(block), dtype=bool)
    for part in parts:
        is_unanswered[part.numbers] = ~part.is_answer
    rows: list[int] = np.flatnonzero(is_unanswered).tolist()
    answers = _search_rows(securities, block, rows, options, budget)
    return _merge_answers(securities, paid, parts, answers)


def _require_match(securities: Sequence[PricedTarget], block: PortfolioBlock) -> None:
    """Raise RuleError or PricesMissingError unless the block fits the model."""
    ids = [security.security_id for security in securities]
    width = block.quantities.units.shape[1]
    if width != len(ids):
        raise RuleError(("quantities", "shape"), width, f"the model has {len(ids)} securities")
    missing = find_unpriced(ids, {security.security_id: security.price for security in securities})
    if missing:
        raise PricesMissingError(missing)
    common = sorted(set(ids).intersection(block.others.ids))
    if common:
        raise RuleError(("others", "ids"), common[0], "other holdings are outside the model")


def _search_rows(
    securities: tuple[PricedTarget, ...],
    block: PortfolioBlock,
    rows: Sequence[int],
    options: RebalanceOptions,
    budget: TimeBudget,
) -> dict[int, Answer]:
    """Search for the answers of the rows that the arrays leave unanswered, as objects."""
    if not rows:
        return {}
    prices = block.snapshot(securities)
    portfolios = [block.portfolio(row, securities, prices) for row in rows]
    answers = search_all(securities, portfolios, options, budget)
    return dict(zip(rows, answers, strict=True))


def _add_cash_flow(block: PortfolioBlock, flow: Decimal) -> PortfolioBlock:
    exponent = flow.as_tuple().exponent
    assert isinstance(exponent, int)
    cash, decimals = block.cash, max(block.cash.decimals, -exponent)
    units = cash.units.astype(object) * 10 ** (decimals - cash.decimals) + to_units(flow, decimals)
    digits = None if cash.digits is None else np.maximum(cash.digits, -exponent)
    return replace(block, cash=ScaledColumn(narrow(units), decimals, digits))


def _merge_answers(
    securities: tuple[PricedTarget, ...],
    block: PortfolioBlock,
    parts: Sequence[RowPlans],
    beside: Mapping[int, Answer],
) -> BlockOutcome:
    """Merge the answers of all rows into one outcome."""
    size = len(block)
    plain = np.zeros(size, dtype=bool)
    traded = np.zeros(size, dtype=bool)
    for part in parts:
        plain[part.numbers] = part.is_answer
        traded[part.numbers] = (part.traded != 0).any(axis=1)
    others = block.others
    traded[others.rows[others.quantities.split()[0] != 0]] = True
    status = np.where(traded, REBALANCED, IN_BAND)
    return BlockOutcome(
        securities=securities,
        portfolio_ids=block.portfolio_ids,
        status=np.where(plain, status, BESIDE).astype(np.int8),
        market_value=_merge(parts, [part.market_value for part in parts], size),
        cash_before=replace(block.cash, units=np.where(plain, block.cash.units, 0)),
        cash_after=_merge(parts, [part.cash_after for part in parts], size),
        objective=_merge(parts, [part.objective for part in parts], size),
        before=block.quantities,
        after=_add_trades(block.quantities, parts),
        others=others,
        beside=beside,
        binding=BindingRows.merge([(part.numbers, part.binding) for part in parts]),
        method=_merge_methods(parts, size),
    )


def _merge_methods(parts: Sequence[RowPlans], size: int) -> NDArray[np.int8]:
    method = np.zeros(size, dtype=np.int8)
    for part in parts:
        method[part.numbers] = part.method
    return method


def _merge(parts: Sequence[RowPlans], columns: Sequence[ScaledColumn], size: int) -> ScaledColumn:
    """Merge the columns of the parts at one scale; rows without a part are 0."""
    decimals = max((column.decimals for column in columns), default=0)
    scaled = [column.at_scale(decimals).units for column in columns]
    fits = all(units.dtype == np.int64 for units in scaled)
    merged = np.zeros(size, dtype=np.int64 if fits else np.object_)
    for part, units in zip(parts, scaled, strict=True):
        merged[part.numbers] = units
    return ScaledColumn(merged, decimals)


def _add_trades(before: ScaledColumn, parts: Sequence[RowPlans]) -> ScaledColumn:
    scaled = [ScaledColumn(part.traded, 0).at_scale(before.decimals).units for part in parts]
    fits = all(units.dtype == np.int64 for units in scaled)
    after = before.units.copy() if fits else before.units.astype(object)
    for part, units in zip(parts, scaled, strict=True):
        after[part.numbers] += units
    return ScaledColumn(after, before.decimals, before.digits)
