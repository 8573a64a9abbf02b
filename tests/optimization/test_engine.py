"""Promises of the engine: exact optima inside every band without overdraft, or a refusal."""

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from optimization.domain.certificate import Method, Proof
from optimization.domain.drift_band import DriftBand
from optimization.domain.model import Model, Target
from optimization.domain.options import RebalanceOptions
from optimization.domain.outcome import PortfolioOutcome, Side, Status
from optimization.domain.portfolio import Portfolio, price_targets
from optimization.engine import rebalance, rebalance_all
from optimization.errors import CertificationError, PricesMissingError, RuleError
from optimization.solvers import cash_constrained, cash_rows, coupled, separable
from optimization.solvers.knapsack_cover import Steps, cover
from tests.optimization.support.by_hand import PORTFOLIO, A, B, C, D, model, portfolio, trades


def test_one_fund_overweight_gives_the_least_trade():
    four = model("0.05", A="0.5", B="0.25", C="0.2")
    held = portfolio("5000", {"A": "1", "B": "1", "C": "1"}, A="50500", B="24500", C="20000")

    answer = rebalance(four, held)

    assert trades(answer) == [(Side.SELL, "A", 500), (Side.BUY, "B", 500)]
    assert answer.certificate is not None
    assert answer.certificate.objective == 0


def test_the_true_optimum_is_found_where_every_target_rounded_up_overdraws():
    wide = model("0.2", A="0.315", B="0.315", C="0.315")
    held = portfolio("100", {"A": "17.50", "B": "17.50", "C": "17.50"})

    answer = rebalance(wide, held, RebalanceOptions(cash_floor=Decimal(10)))

    # 31.5 of 17.5: two lots miss by 3.5, one lot by 14. Three times two would leave -5.
    assert sum(int(u) for u in answer.after) == 5
    assert answer.cash_after == Decimal("12.5")
    assert answer.certificate is not None
    assert answer.certificate.objective == Decimal(21)
    assert answer.certificate.method is Method.COVER


def test_a_portfolio_on_its_targets_is_in_band_without_trades():
    answer = rebalance(model(A="0.5"), portfolio("500", {"A": "10"}, A="50"))

    assert answer.status is Status.IN_BAND
    assert answer.transactions == ()


def test_a_tie_goes_to_fewer_traded_lots():
    half = model("0.3", A="0.5")  # 50 of 20 a share: 2 and 3 shares miss by 10 each

    assert rebalance(half, portfolio("100", {"A": "20"})).after == (2,)
    assert rebalance(half, portfolio("20", {"A": "20"}, A="4")).after == (3,)


def test_an_empty_account_is_in_band():
    answer = rebalance(model(A="0.5"), portfolio("0", {"A": "10"}))

    assert (answer.status, answer.market_value, answer.cash_after) == (Status.IN_BAND, 0, 0)
    assert next(iter(answer.drifts)).actual == 0


def test_a_holding_outside_the_model_is_sold():
    answer = rebalance(model(A="0.5"), portfolio("0", {"A": "10", "B": "5"}, B="200"))

    assert trades(answer) == [(Side.BUY, "A", 50), (Side.SELL, "B", 200)]
    assert [d.security.weight for d in answer.drifts] == [Decimal("0.5"), 0]


def test_holdings_outside_the_model_come_in_the_order_of_their_ids():
    letters = "QDZKCXEBMY"
    held = portfolio("100", dict.fromkeys(letters + "A", "1"), **dict.fromkeys(letters, "1"))

    answer = rebalance(model(A="0.5"), held)

    assert "".join(other.security_id[0] for other in answer.others) == "BCDEKMQXYZ"


def test_a_fractional_holding_outside_the_model_keeps_what_is_below_one_share():
    answer = rebalance(model(A="0.5"), portfolio("0", {"A": "10", "B": "4"}, B="250.25"))

    assert answer.others[0].security_id == B
    assert answer.after[1] == Decimal("0.25")
    assert (Side.SELL, "B", 250) in trades(answer)
    assert answer.cash_after == Decimal(1001) - answer.after[0] * 10 - 1


def test_a_fractional_holding_is_traded_in_whole_shares():
    answer = rebalance(model(A="0.5"), portfolio("1000", {"A": "10"}, A="0.4"))

    assert answer.after[0] == Decimal("50.4")
    assert trades(answer) == [(Side.BUY, "A", 50)]


def test_a_short_position_is_bought_back():
    answer = rebalance(model(A="0.5"), portfolio("1000", {"A": "10", "B": "5"}, B="-20"))

    assert (Side.BUY, "B", 20) in trades(answer)
    assert answer.market_value == 900


def test_an_overdrawn_account_sells_until_its_cash_is_not_negative():
    answer = rebalance(model("0.01", A="0.95"), portfolio("-100", {"A": "10"}, A="110"))

    assert answer.status is Status.REBALANCED
    assert answer.cash_after is not None
    assert answer.cash_after >= 0


def test_a_negative_market_value_is_refused_with_that_reason():
    answer = rebalance(model(A="0.5"), portfolio("-100", {"A": "10"}))

    assert answer.status is Status.INFEASIBLE
    assert answer.refusal is not None
    assert "market value is negative (-100" in answer.refusal.detail
    assert answer.after == answer.before
    assert answer.cash_after == answer.cash_before


def test_an_empty_band_is_refused_with_the_security_and_the_smallest_band_that_admits_a_share():
    narrow = model("0.005", A="0.5", B="0.2")
    held = portfolio("1000", {"A": "10", "B": "90"})

    answer = rebalance(narrow, held)

    assert answer.status is Status.INFEASIBLE
    assert answer.refusal is not None
    assert B in answer.refusal.detail
    [entry] = answer.refusal.members["securities"]
    assert entry["security_id"] == B
    assert entry["smallest_band"] == {"low_drift": "0.02", "high_drift": "0.02", "lots": "2"}


def test_the_smallest_band_that_a_refusal_names_does_admit_a_share():
    held = portfolio("1000", {"A": "333.33"})
    refused = rebalance(model("0.001", A="0.5"), held).refusal
    assert refused is not None
    band = refused.members["securities"][0]["smallest_band"]

    low, high = Decimal(band["low_drift"]), Decimal(band["high_drift"])
    wider = Model("wider", (Target(A, Decimal("0.5"), DriftBand(low, high)),), (PORTFOLIO,))

    assert rebalance(wider, held).status is Status.REBALANCED


def test_a_refusal_carries_the_nearest_plan():
    answer = rebalance(model("0.005", A="0.5", B="0.2"), portfolio("1000", {"A": "10", "B": "90"}))

    assert answer.refusal is not None
    plan = answer.refusal.members["nearest_plan"]
    assert plan["transactions"] == [
        {"transaction_type": "BUY", "security_id": A, "quantity": "50"},
        {"transaction_type": "BUY", "security_id": B, "quantity": "2"},
    ]
    assert plan["outside_band"] == [{"security_id": B, "quantity": "2", "actual": "0.1800"}]
    assert plan["cash_after_rebalance"] == "320.00"


def test_bands_that_cost_more_than_there_is_are_refused_with_the_amount_and_a_plan_that_fits():
    held = portfolio("1000", {"A": "10"})

    answer = rebalance(model("0.005", A="0.95"), held, RebalanceOptions(cash_floor=Decimal(60)))

    assert answer.refusal is not None
    assert answer.refusal.members["limits"] == [{"option": "cash_floor", "short_by": "10.00"}]
    plan = answer.refusal.members["nearest_plan"]
    assert plan["cash_after_rebalance"] == "60.00"
    assert plan["outside_band"][0]["actual"] == "0.9400"


def test_the_plan_keeps_the_cash_floor():
    options = RebalanceOptions(cash_floor=Decimal("333.33"))

    answer = rebalance(model("0.5", A="0.95"), portfolio("1000", {"A": "7.77"}), options)

    assert answer.cash_after is not None
    assert answer.cash_after >= Decimal("333.33")
    assert answer.certificate is not None
    assert answer.certificate.proof is Proof.OPTIMAL


def test_a_negative_cash_floor_is_refused():
    with pytest.raises(RuleError, match="cash_floor"):
        RebalanceOptions(cash_floor=Decimal(-1))


def test_portfolios_with_prices_of_their_own_are_answered_by_those():
    first = portfolio("100", {"A": "10"})
    other = portfolio("100", {"A": "10", "D": "7"}, D="3")
    securities = price_targets(model(A="0.5"), first.prices)

    together = rebalance_all(securities, [first, other])

    assert together == [rebalance_all(securities, [portfolio])[0] for portfolio in (first, other)]
    assert isinstance(together[1], PortfolioOutcome)
    assert together[1].market_value == 121


def test_holdings_as_good_as_any_plan_are_left_alone():
    # 7.00 of 20.00 each in shares of 3.00; two shares of each leave a cent too little.
    pair = model("0.2", A="0.35", B="0.35")
    held = portfolio("11", {"A": "3", "B": "3"}, A="2", B="1")

    answer = rebalance(pair, held, RebalanceOptions(cash_floor=Decimal("8.01")))

    assert trades(answer) == []
    assert answer.certificate is not None
    assert answer.certificate.objective == answer.certificate.lower_bound == 5


def test_fewest_trades_break_a_tie_of_the_cash_row_too():
    # The same with a share too many of A: A alone is sold, or both are traded.
    pair = model("0.2", A="0.35", B="0.35")
    held = portfolio("8", {"A": "3", "B": "3"}, A="3", B="1")

    floor = RebalanceOptions(cash_floor=Decimal("8.01"))
    fewest = RebalanceOptions(cash_floor=Decimal("8.01"), fewest_trades=True)

    assert trades(rebalance(pair, held, floor)) == [(Side.SELL, "A", 2), (Side.BUY, "B", 1)]
    assert trades(rebalance(pair, held, fewest)) == [(Side.SELL, "A", 1)]


@pytest.fixture
def wrongly(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, int], None]:
    """A path that proposes so many lots too many of everything."""

    def covers_wrongly(more: int) -> None:
        def wrong(steps: Steps, shortfall: int) -> list[int]:
            found = cover(steps, shortfall)
            assert found is not None
            return [lots - more for lots in found]

        for module in (cash_rows, cash_constrained):
            monkeypatch.setattr(module, "cover", wrong)

    def proposes(path: str, more: int) -> None:
        if path == "cover":
            covers_wrongly(more)
            return
        module = separable if path == "solve" else coupled
        right = getattr(module, path)

        def wrong(*asked: Any, **given: Any) -> Any:
            found = right(*asked, **given)
            return replace(found, lots=found.lots + more)

        monkeypatch.setattr(module, path, wrong)

    return proposes


@pytest.mark.parametrize(
    ("path", "more", "options"),
    [
        ("solve", 5, {}),  # out of its band
        ("solve", -6, {}),  # short
        ("cover", 1, {"cash_floor": Decimal(55)}),  # inside its band, beyond the cash
        ("cover", -4, {"cash_floor": Decimal(55)}),  # out of its band
        ("solve_coupled", 1, {"maximum_trades": 1, "cash_floor": Decimal(55)}),
        ("solve_coupled", -4, {"turnover_cap": Decimal(70)}),
    ],
)
def test_a_plan_that_fails_verification_is_never_returned(
    wrongly: Callable[[str, int], None], path: str, more: int, options: dict[str, Any]
):
    held = portfolio("100", {"A": "10"})  # five shares, two to eight inside the band
    wrongly(path, more)

    with pytest.raises(CertificationError, match="plan violates a constraint"):
        rebalance(model("0.3", A="0.5"), held, RebalanceOptions(**options))


def test_a_model_security_without_a_price_is_named():
    with pytest.raises(PricesMissingError) as caught:
        rebalance(model(A="0.5", B="0.1"), portfolio("1000", {"A": "10"}))

    assert caught.value.security_ids == (B,)


def test_a_held_security_without_a_price_is_named():
    with pytest.raises(PricesMissingError) as caught:
        portfolio("1000", {"A": "10"}, C="5", D="1")

    assert caught.value.security_ids == (C, D)


@pytest.mark.parametrize("price", ["0", "-1", "NaN"])
def test_a_price_that_is_not_above_0_counts_as_missing(price: str):
    with pytest.raises(PricesMissingError, match="no price above 0") as caught:
        rebalance(model(A="0.5"), portfolio("1000", {"A": price}))
    assert caught.value.security_ids == (A,)
    with pytest.raises(PricesMissingError, match="no price above 0") as caught:
        portfolio("1000", {"A": "10", "B": price}, A="1", B="2", C="3")
    assert caught.value.security_ids == (B, C)


def test_a_price_of_0_of_nothing_that_is_held_or_wanted_is_no_trouble():
    held = portfolio("1000", {"A": "10", "B": "0"}, B="0")
    assert rebalance(model("0.5", A="0.5"), held).transactions[0].quantity == 50


def test_answers_do_not_depend_on_what_they_are_solved_with():
    wide = model("0.2", A="0.315", B="0.315", C="0.315")
    prices = {s: Decimal(p) for s, p in ((A, "17.50"), (B, "17.51"), (C, "3.07"), (D, "9"))}
    many = [
        Portfolio(f"{i:024d}", Decimal(50 + 13 * i), {A: Decimal(i % 5), D: held}, prices)
        for i, held in enumerate(Decimal(i % 3) / (1 + i % 2) for i in range(60))
    ]
    options = RebalanceOptions(cash_floor=Decimal(10))
    securities = price_targets(wide, prices)

    together = rebalance_all(securities, many, options)
    alone = [rebalance_all(securities, [portfolio], options)[0] for portfolio in many]

    assert together == alone
    assert {answer.status for answer in together} >= {Status.REBALANCED}
