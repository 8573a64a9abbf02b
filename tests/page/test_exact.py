"""exact.ts beside Python's Decimal, on operands that Hypothesis draws."""

import json
import subprocess
from decimal import ROUND_HALF_UP, Context, Decimal
from pathlib import Path
from typing import Any, Final

from hypothesis import given, settings
from hypothesis import strategies as st

from console.build import find_node

SCRIPT: Final = Path(__file__).parents[2] / "console/test/evaluate.ts"
EXACT: Final = Context(prec=200, rounding=ROUND_HALF_UP)
DECIMALS: Final = st.decimals(
    min_value=-(10**20), max_value=10**20, allow_nan=False, allow_infinity=False, places=None
).map(lambda value: f"{value.quantize(Decimal(1).scaleb(-18), context=EXACT):f}")
SHORT: Final = st.decimals(min_value=-1000, max_value=1000, places=4).map(
    lambda value: f"{value:f}"
)
OPERANDS: Final = DECIMALS | SHORT
CASES: Final = st.one_of(
    st.tuples(st.sampled_from(["add", "subtract", "times", "compare"]), OPERANDS, OPERANDS),
    st.tuples(st.just("divide"), OPERANDS, OPERANDS.filter(lambda text: Decimal(text) != 0)),
    st.tuples(st.just("round"), OPERANDS, st.integers(0, 8)),
    st.tuples(st.just("shift"), OPERANDS, st.integers(0, 4)),
)


def by_decimal(name: str, first: str, second: Any) -> Decimal | int:
    left = Decimal(first)
    if name == "round":
        return left.quantize(Decimal(1).scaleb(-second), context=EXACT)
    if name == "shift":
        return EXACT.multiply(left, Decimal(10) ** second)
    right = Decimal(second)
    if name == "compare":
        return (left > right) - (left < right)
    if name == "divide":
        return EXACT.divide(left, right).quantize(Decimal("0.0001"), context=EXACT)
    operations = {"add": EXACT.add, "subtract": EXACT.subtract, "times": EXACT.multiply}
    return operations[name](left, right)


@settings(max_examples=10, deadline=None)
@given(st.lists(CASES, min_size=100, max_size=300))
def test_sums_products_and_roundings_are_those_of_decimal(cases: list[tuple[Any, ...]]) -> None:
    process = subprocess.run(
        [find_node() / "bin/node", SCRIPT],
        input="\n".join(json.dumps(case) for case in cases),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )

    results = [json.loads(line) for line in process.stdout.splitlines()]
    assert [Decimal(result) for result in results] == [by_decimal(*case) for case in cases]
