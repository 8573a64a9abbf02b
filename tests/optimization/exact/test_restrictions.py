"""Options that bind single securities, as bounds on their lots worked out by hand."""

from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from optimization.domain.drift_band import DriftBand
from optimization.domain.option_values import Direction, Scope
from optimization.domain.options import RebalanceOptions
from optimization.domain.portfolio import PricedTarget
from optimization.exact.block import Block, compute_bands
from optimization.exact.restrictions import apply_scope, restrict_block, restricting_option
from optimization.exact.scaled_integers import INT64_SAFE
from tests.optimization.support.blocks import block

A, B = "A" * 24, "B" * 24
ANY = INT64_SAFE
LOTS = (Decimal(1),) * 2
SECURITIES = tuple(
    PricedTarget(name, Decimal(1), Decimal("0.3"), DriftBand(Decimal(0), Decimal(0)))
    for name in (A, B)
)


def bounds(*held: int, **options: Any) -> list[tuple[int, int]]:
    """Compute the fewest and the most lots of A and B."""
    rows = ((10, 300, 0, 0, lots) for lots in held)
    made = restrict_block(block(1000, *rows), SECURITIES, LOTS, RebalanceOptions(**options))
    assert made.least is not None
    assert made.most is not None
    return list(zip(made.least[0].tolist(), made.most[0].tolist(), strict=True))


@pytest.mark.parametrize(
    ("options", "a", "b"),
    [
        ({}, (0, ANY), (0, ANY)),
        ({"direction": Direction.BUY_ONLY}, (3, ANY), (8, ANY)),
        ({"direction": Direction.SELL_ONLY}, (0, 3), (0, 8)),
        ({"do_not_buy": frozenset({A})}, (0, 3), (0, ANY)),
        ({"do_not_sell": frozenset({A})}, (3, ANY), (0, ANY)),
        ({"frozen": frozenset({B})}, (0, ANY), (8, 8)),
        ({"do_not_buy": frozenset({A}), "do_not_sell": frozenset({A, B})}, (3, 3), (8, ANY)),
        ({"direction": Direction.BUY_ONLY, "do_not_buy": frozenset({B})}, (3, ANY), (8, 8)),
    ],
)
def test_a_forbidden_purchase_or_sale_is_bounded_by_the_lots_held(
    options: dict[str, Any], a: tuple[int, int], b: tuple[int, int]
):
    assert bounds(3, 8, **options) == [a, b]


def within(scope: Scope, held: int, least: int = 0, most: int = ANY) -> tuple[int, int]:
    """Compute the bounds on a security with a band of 300 to 500, in lots of 10: 30 to 50."""
    made = block(1000, (10, 400, 100, 100, held)).with_bounds(
        np.array([[least]]), np.array([[most]])
    )
    found = apply_scope(made, compute_bands(made), LOTS, RebalanceOptions(scope=scope))
    return _bounds(found)


def _bounds(made: Block) -> tuple[int, int]:
    assert made.least is not None
    assert made.most is not None
    return int(made.least[0, 0]), int(made.most[0, 0])


@pytest.mark.parametrize("held", [30, 31, 50])
def test_a_position_inside_its_band_is_frozen(held: int):
    assert within(Scope.DRIFTED_TO_TARGET, held) == (held, held)
    assert within(Scope.DRIFTED_TO_EDGE, held) == (held, held)
    assert within(Scope.ALL, held) == (0, ANY)


@pytest.mark.parametrize(("held", "edge"), [(29, 30), (0, 30), (51, 50), (90, 50)])
def test_a_position_outside_its_band_moves_to_the_target_or_just_inside(held: int, edge: int):
    assert within(Scope.DRIFTED_TO_TARGET, held) == (0, ANY)
    assert within(Scope.DRIFTED_TO_EDGE, held) == (edge, edge)


def test_a_restricted_position_moves_towards_the_edge_as_far_as_it_may():
    assert within(Scope.DRIFTED_TO_EDGE, 90, least=45, most=48) == (48, 48)
    assert within(Scope.DRIFTED_TO_EDGE, 10, least=33, most=48) == (33, 33)


def test_a_band_without_a_lot_is_not_fixed_anywhere():
    assert within(Scope.DRIFTED_TO_EDGE, 90, least=60, most=90) == (60, 90)
    assert within(Scope.DRIFTED_TO_TARGET, 90, least=60, most=90) == (60, 90)


@pytest.mark.parametrize(
    ("options", "of_buying", "of_selling"),
    [
        ({"frozen": frozenset({A}), "do_not_buy": frozenset({A})}, "frozen", "frozen"),
        (
            {"do_not_buy": frozenset({A}), "direction": Direction.BUY_ONLY},
            "do_not_buy", "direction",
        ),
        (
            {"do_not_sell": frozenset({A}), "direction": Direction.SELL_ONLY},
            "direction", "do_not_sell",
        ),
        ({"frozen": frozenset({B}), "scope": Scope.DRIFTED_TO_EDGE}, "scope", "scope"),
    ],
)  # fmt: skip
def test_the_option_that_keeps_a_security_from_being_bought_or_sold_is_named(
    options: dict[str, Any], of_buying: str, of_selling: str
):
    asked = RebalanceOptions(**options)

    assert restricting_option(asked, A, buying=True) == of_buying
    assert restricting_option(asked, A, buying=False) == of_selling
