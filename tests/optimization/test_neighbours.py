"""A search answers as for the portfolio alone, whatever portfolios stand in its block."""

from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from optimization import (
    BandRule,
    Binding,
    DriftBand,
    Percent,
    Portfolio,
    PortfolioOutcome,
    PricedTarget,
    RebalanceOptions,
    rebalance_all,
    rebalance_block,
)
from optimization.domain.options import DEFAULTS
from optimization.exact.block_builder import build_block
from optimization.exact.block_with_ids import find_blockable
from optimization.exact.scaled_integers import ModelUnits
from optimization.solvers.coupled_data import coupled_milp_data
from optimization.solvers.coupled_problem import CoupledProblem
from optimization.solvers.separable import relax, relax_alone
from optimization.solvers.yielding_bands import soften_bands
from tests.optimization.support.budgets import EndlessBudget
from tests.optimization.support.by_hand import A, B
from tests.optimization.support.columns import block_as_written, complete_text

Book = tuple[tuple[PricedTarget, ...], list[Portfolio]]


@st.composite
def books(draw: st.DrawFn) -> Book:
    """Small accounts with narrow bands, and a neighbour whose cash has many digits."""
    count, digits = draw(st.integers(2, 6)), draw(st.sampled_from([0, 2, 4, 6]))
    price = st.integers(10**digits, 300 * 10**digits).map(lambda p: Decimal(p).scaleb(-digits))
    drift = st.integers(0, 30).map(lambda d: Decimal(d).scaleb(-3))
    weight = (Decimal(draw(st.sampled_from([1, "0.95", "0.8"]))) / count).quantize(Decimal("0.001"))
    securities = tuple(
        PricedTarget(f"S{at}", draw(price), weight, DriftBand(draw(drift), draw(drift)))
        for at in range(count)
    )
    prices = {security.security_id: security.price for security in securities}
    prices |= {"GOLD": Decimal("61.035")}
    cash = st.integers(-2_000, 400_000).map(lambda cents: Decimal(cents).scaleb(-2))

    def portfolio(number: int) -> Portfolio:
        held = {name: Decimal(draw(st.integers(0, 9))) for name in prices}
        return Portfolio(f"P{number}", draw(cash), held, prices)

    fine = Decimal(10) + Decimal(1).scaleb(-draw(st.sampled_from([7, 9, 12])))
    return securities, [*map(portfolio, range(3)), Portfolio("N", fine, {}, prices)]


@settings(max_examples=40, deadline=None)
@given(
    book=books(),
    floor=st.sampled_from([Decimal(0), Decimal("12.3456"), Percent("2")]),
    bands=st.sampled_from([BandRule.HARD, BandRule.YIELD]),
    fewest_trades=st.booleans(),
)
def test_a_search_answers_as_for_the_portfolio_alone(
    book: Book, floor: Decimal | Percent, bands: BandRule, fewest_trades: bool
):
    securities, portfolios = book
    options = RebalanceOptions(cash_floor=floor, bands=bands, fewest_trades=fewest_trades)
    alone = [
        complete_text(rebalance_all(securities, [portfolio], options, EndlessBudget())[0])
        for portfolio in portfolios
    ]

    together = rebalance_all(securities, portfolios, options, EndlessBudget())
    arrays = block_as_written(securities, portfolios)
    block = rebalance_block(securities, arrays, options, EndlessBudget())

    assert [complete_text(answer) for answer in together] == alone
    assert [complete_text(outcome) for outcome in block.outcomes()] == alone


@settings(max_examples=60, deadline=None)
@given(book=books(), row=st.integers(0, 2))
def test_a_program_is_stated_in_the_unit_of_the_portfolio_alone(book: Book, row: int):
    securities, portfolios = book
    units = ModelUnits.from_targets(securities)

    def program(chosen: list[Portfolio], place: int) -> str:
        whole = list(find_blockable(securities, chosen, DEFAULTS, units).values())
        relaxed = relax(build_block(securities, (), chosen, DEFAULTS, whole, units), DEFAULTS)
        return repr(
            coupled_milp_data(
                soften_bands(CoupledProblem.from_relaxation(relax_alone(relaxed, place), 0))
            )
        )

    assert program(portfolios, row) == program([portfolios[row]], 0)


def test_the_slack_of_a_floor_under_yielding_bands_is_that_of_the_portfolio_alone():
    wide, none = DriftBand(Decimal("0.3"), Decimal("0.3")), DriftBand(Decimal(0), Decimal(0))
    securities = (
        PricedTarget(A, Decimal(20), Decimal("0.5"), wide),
        PricedTarget(B, Decimal(30), Decimal("0.5"), none),
    )
    prices = {security.security_id: security.price for security in securities}
    tight = Portfolio("P", Decimal(100), {}, prices)
    neighbour = Portfolio("N", Decimal("1.0000001"), {}, prices)
    options = RebalanceOptions(cash_floor=Decimal("12.34567"), bands=BandRule.YIELD)

    (alone,) = rebalance_all(securities, [tight], options)
    together = rebalance_all(securities, [tight, neighbour], options)[0]

    assert isinstance(alone, PortfolioOutcome)
    assert alone.certificate is not None
    assert alone.certificate.binding == (Binding("cash_floor", Decimal(7)),)
    assert complete_text(together) == complete_text(alone)
