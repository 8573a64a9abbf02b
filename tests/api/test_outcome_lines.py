"""Lines of outcomes as text: a writer that is kept writes what a new one would."""

from dataclasses import replace
from decimal import Decimal

import pytest

from optimization import DriftBand, PortfolioOutcome, PricedTarget
from serve_app.api.schemas import outcome_lines
from serve_app.api.schemas.outcome_lines import OutcomeLines
from serve_app.api.schemas.rebalances import outcome_json
from serve_app.json_text import encode
from tests.support.fakes import A, B, P, make_purchase

DAY = "2026-11-23"


def outcome_of(weight: str, low: str = "0.01", price: str = "10.25") -> PortfolioOutcome:
    band = DriftBand(Decimal(low), Decimal("0.02"))
    securities = (PricedTarget(each, Decimal(price), Decimal(weight), band) for each in (A, B))
    return make_purchase(P, tuple(securities))


def text_of(outcome: PortfolioOutcome, lines: OutcomeLines) -> bytes:
    return encode(outcome_json(outcome, None, None, lines))


def test_numbers_with_other_digits_are_written_with_their_own() -> None:
    kept = OutcomeLines(DAY)
    made = [
        outcome_of("0.25"),
        outcome_of("0.250"),
        outcome_of("0.25", low="0.010"),
        outcome_of("0.25", price="10.250"),
        outcome_of("0.25"),
    ]

    for outcome in made:
        assert text_of(outcome, kept) == text_of(outcome, OutcomeLines(DAY))


def test_only_so_many_securities_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outcome_lines, "MAX_TEXTS", 2)
    kept, outcome = OutcomeLines(DAY), outcome_of("0.25")
    first, second = (kept.find_text(one) for one in outcome.securities)

    assert kept.find_text(outcome.securities[1]) is second
    kept.find_text(replace(outcome.securities[0], security_id=P))
    assert kept.find_text(outcome.securities[0]) is not first


def test_a_security_with_a_new_price_is_compared_once() -> None:
    kept = OutcomeLines(DAY)
    old, new = (outcome_of("0.25", price=price).securities[0] for price in ("10.25", "11.50"))
    first = kept.find_text(old)

    assert kept.find_text(new) == first._replace(security=new)
    assert kept.find_text(new) is kept.find_text(new)
