"""Random blocks: portfolios of one model, tight, fractional, huge, with holdings outside it."""

from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import Any

from hypothesis import reject
from hypothesis import strategies as st

from optimization import DriftBand, Portfolio, PricedTarget, RebalanceOptions
from optimization.errors import OptionsConflictError
from tests.optimization.support.random_problems import OPTIONS, security_id, volumes

Case = tuple[tuple[PricedTarget, ...], list[Portfolio], int, RebalanceOptions]
Given = dict[str, Callable[[list[str]], st.SearchStrategy[Any]]]
HUGE = 10**25
SEPARABLE = [
    *("cash_floor", "cash_flow", "direction", "do_not_buy", "do_not_sell", "frozen", "lots"),
    *("scope", "maximum_value", "volume_share"),
]
FRACTIONS = [Fraction(1, 3), Fraction(1, 12), Fraction(1, 8), Fraction(2, 7)]


@st.composite
def decimals(draw: st.DrawFn, least: int, most: int, digits: int) -> Decimal:
    """A decimal of exactly these digits: mostly whole, sometimes huge."""
    scale = 10**digits
    whole = st.integers(least, most).map(lambda value: value * scale)
    any_part = st.integers(least * scale, most * scale)
    units = draw(st.one_of(whole, whole, any_part, st.just(0)))
    if draw(st.integers(0, 60)) == 0:
        units += draw(st.sampled_from([HUGE, -HUGE, 3 * 10**18]))
    return Decimal(units).scaleb(-digits)


@st.composite
def models(draw: st.DrawFn, count: int) -> tuple[PricedTarget, ...]:
    digits = draw(st.sampled_from([0, 2, 2, 6]))
    price = st.integers(10**digits, 400 * 10**digits).map(lambda p: Decimal(p).scaleb(-digits))
    thirds = count and draw(st.integers(0, 5)) == 0
    weight = st.integers(1, max(1, 190 // max(count, 1))).map(lambda w: Decimal(5 * w).scaleb(-3))
    drift = st.integers(0, 300).map(lambda d: Decimal(d).scaleb(-3))
    return tuple(
        PricedTarget(
            security_id(i),
            draw(price),
            draw(st.sampled_from(FRACTIONS)) if thirds else draw(weight),
            DriftBand(draw(drift), draw(drift)),
        )
        for i in range(count)
    )


def lots(ids: list[str]) -> st.SearchStrategy[dict[str, Decimal]]:
    written = st.sampled_from(["1", "2", "3", "2.00", "2.000", "1E+1", "0.5", "100"]).map(Decimal)
    return st.dictionaries(st.sampled_from(ids), written, max_size=3)


@st.composite
def options_of(draw: st.DrawFn, ids: list[str]) -> RebalanceOptions:
    names = draw(
        st.one_of(
            st.just(set[str]()),
            st.sets(st.sampled_from(["cash_floor", "cash_flow"]), max_size=2),
            st.sets(st.sampled_from(SEPARABLE), min_size=1, max_size=3),
            st.sets(st.sampled_from(SEPARABLE), min_size=1, max_size=2),
            st.sets(st.sampled_from(sorted(OPTIONS)), min_size=1, max_size=3),
        )
    )
    given: Given = {**OPTIONS, "lots": lots}
    chosen = {name: draw(given[name](ids)) for name in sorted(names)}
    if chosen.get("costs_in_objective"):
        chosen.setdefault("cost_rate", Decimal("0.01"))
    if "volume_share" in chosen:
        chosen["volumes"] = draw(volumes(ids))
    try:
        return RebalanceOptions(**chosen)
    except OptionsConflictError:
        reject()


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Portfolios of one model: tight, short, fractional, huge, empty, with other holdings."""
    securities = draw(models(draw(st.integers(0, 4))))
    ids = [security.security_id for security in securities]
    others = ["OTHER-A", "OTHER-B", "OTHER-C"]
    price = st.sampled_from(["1", "31.07", "0.000001", "250.250000", "1E+2"]).map(Decimal)
    prices = {name: draw(price) for name in others}
    prices |= {security.security_id: security.price for security in securities}
    digits, cash_digits = draw(st.sampled_from([0, 0, 2, 9])), draw(st.sampled_from([0, 2, 2, 9]))

    def portfolio(number: int) -> Portfolio:
        least = draw(st.sampled_from([0, 0, -2]))
        held = {name: draw(decimals(least, 12, digits)) for name in ids if draw(st.booleans())}
        for name in others:
            if draw(st.integers(0, 4)) == 0:
                held[name] = draw(decimals(-2, 9, digits))
        most = draw(st.sampled_from([0, 40, 4_000, 40_000]))
        return Portfolio(
            f"{number:024d}", draw(decimals(-most // 9, most, cash_digits)), held, prices
        )

    portfolios = [portfolio(number) for number in range(draw(st.integers(1, 6)))]
    return securities, portfolios, digits, draw(options_of([*ids, *others]))
