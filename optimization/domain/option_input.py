"""Values of options as people write them, read to the types that the engine works with."""

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from enum import StrEnum
from functools import partial
from numbers import Real
from typing import Any, Final, TypeAlias, cast

from optimization.domain.numbers import (
    EXACT,
    Amount,
    Number,
    Path,
    Percent,
    are_decimals,
    read_decimal,
    read_decimals,
)
from optimization.domain.option_values import BandRule, Direction, OpenOrders, Scope
from optimization.errors import RuleError

AmountInput: TypeAlias = Number | Percent
"""An amount of currency, or a percentage of market value: Percent, or text such as "2%"."""


def read_amount(value: object, field: Path) -> Amount:
    """Read an amount of currency, or a percentage of market value from text such as ``"2%"``.

    A float or text between 0 and 1 is refused, because it could mean either.

    >>> read_amount("2%", ("cash_floor",)), read_amount(500, ("cash_floor",))
    (Percent(value=Decimal('2')), Decimal('500'))
    >>> read_amount(0.02, ("cash_floor",))  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    optimization.errors.RuleError: cash_floor is 0.02: write '2%' for 2 percent of market value, ...
    """
    if isinstance(value, Decimal | Percent):
        return value
    if isinstance(value, str) and value.rstrip().endswith("%"):
        return Percent(read_decimal(value.rstrip()[:-1], field))
    amount = read_decimal(value, field)
    if 0 < amount < 1:
        percent = EXACT.multiply(amount, Decimal(100)).normalize(EXACT)
        rule = (
            f"write '{percent:f}%' for {percent:f} percent of market value, "
            f"or Decimal('{amount:f}') for that amount of currency"
        )
        raise RuleError(field, float(value) if isinstance(value, Real) else value, rule)
    return amount


def read_ids(value: object, field: Path) -> frozenset[str]:
    """Read ids of securities from any collection of texts, or from a single text.

    >>> sorted(read_ids(["VTI", "BND"], ("frozen",))), read_ids("VTI", ("frozen",))
    (['BND', 'VTI'], frozenset({'VTI'}))
    """
    if isinstance(value, frozenset):
        return value
    if isinstance(value, str):
        return frozenset({value})
    if not isinstance(value, Iterable):
        raise RuleError(field, value, "ids are a list or a set of texts")
    return frozenset(map(str, value))


def _read_choice(kind: type[StrEnum], value: object, field: Path) -> StrEnum:
    if isinstance(value, kind):
        return value
    try:
        return kind(value)
    except ValueError:
        raise RuleError(field, value, f"one of {', '.join(kind)}") from None


def _read_lots(value: Mapping[str, object], field: Path) -> Mapping[str, Decimal]:
    if are_decimals(value.values()):
        return cast("Mapping[str, Decimal]", value)
    return read_decimals(value, str(field[0]))


_READERS: Final[dict[str, Callable[[Any, Path], object]]] = {
    **dict.fromkeys(("cash_floor", "cash_ceiling", "minimum_value", "turnover_cap"), read_amount),
    **dict.fromkeys(
        ("cash_flow", "minimum_shares", "cost_rate", "cost_per_trade", "soft_band_price"),
        read_decimal,
    ),
    **dict.fromkeys(("do_not_buy", "do_not_sell", "frozen"), read_ids),
    "lots": _read_lots,
    "direction": partial(_read_choice, Direction),
    "scope": partial(_read_choice, Scope),
    "bands": partial(_read_choice, BandRule),
    "open_orders": partial(_read_choice, OpenOrders),
    "groups": lambda value, _: tuple(value),
}
READ_OPTIONS: Final = tuple(_READERS)


def read_option(name: str, value: object) -> object:
    """Read the value of an option by its name; None, and options of other types, as they are.

    >>> read_option("direction", "BUY_ONLY"), read_option("maximum_trades", 5)
    (<Direction.BUY_ONLY: 'BUY_ONLY'>, 5)
    """
    reader = _READERS.get(name)
    return value if reader is None or value is None else reader(value, (name,))
