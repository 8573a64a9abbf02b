"""Unmatched ids of a run, over every way in which its rebalances may name and have a security."""

from collections.abc import Iterable
from dataclasses import replace
from itertools import product

import pytest

from optimization.domain.model import Model
from optimization.domain.options import NO_OVERRIDES, OptionOverrides
from optimization.domain.outcome import Refusal
from serve_app.chunks.unmatched_ids import UnmatchedIds
from storage.mongo.decimal_codec import now
from storage.rebalances.rebalance import Rebalance, new_rebalance
from storage.runs.run import HoldingsRef, Run, Selection

X = "X" * 24
TWICE = [*product([True, False], repeat=2)]
PORTFOLIOS = ("P" * 24, "Q" * 24)
NAMED = {True: OptionOverrides({"do_not_buy": frozenset({X})}), False: NO_OVERRIDES}


def a_part(portfolio_id: str, own: OptionOverrides, unmatched: Iterable[str]) -> Rebalance:
    model = Model("Growth", (), (portfolio_id,), model_id="0" * 24)
    part = new_rebalance("0" * 24, model, 1, NO_OVERRIDES, now())
    return replace(part, overrides_by_portfolio={portfolio_id: own}, unmatched=tuple(unmatched))


@pytest.mark.parametrize(
    ("in_common", "in_own", "has"),
    [*product([True, False], TWICE, TWICE)],
)
def test_a_security_is_listed_where_it_is_named_and_no_rebalance_that_names_it_has_it(
    in_common: bool, in_own: tuple[bool, bool], has: tuple[bool, bool]
):
    own = {
        portfolio_id: NAMED[named] for portfolio_id, named in zip(PORTFOLIOS, in_own, strict=True)
    }
    run = Run("1" * 24, Selection(), NAMED[in_common], HoldingsRef("file"), now(), own)
    unmatched = UnmatchedIds(run)
    naming = [in_common or named for named in in_own]

    for portfolio_id, named, is_held in zip(PORTFOLIOS, naming, has, strict=True):
        unmatched.add_rebalance(
            a_part(portfolio_id, own[portfolio_id], [X] if named and not is_held else [])
        )

    held = [is_held for named, is_held in zip(naming, has, strict=True) if named]
    assert unmatched.ids == ((X,) if held and not any(held) else ())


def test_nothing_is_known_of_a_rebalance_that_was_refused_but_which_portfolios_it_has():
    own = dict.fromkeys(PORTFOLIOS, NAMED[True])
    unmatched = UnmatchedIds(
        Run("1" * 24, Selection(), NAMED[True], HoldingsRef("file"), now(), own)
    )
    part = a_part(PORTFOLIOS[0], NAMED[True], [X])

    unmatched.add_rebalance(replace(part, refusal=Refusal("prices-missing", "no price", {})))

    assert unmatched.ids == (PORTFOLIOS[1],)
