"""Values of options: choices, groups and amounts, and the readers of every accepted form."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from functools import partial, reduce
from itertools import combinations, permutations
from numbers import Real
from typing import TYPE_CHECKING, Any, Final, TypeAlias, cast

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
from optimization.domain.rules import (
    read_items,
    require_mapping,
    require_range,
    require_type,
    require_visible,
)
from optimization.errors import OptionsConflictError, RuleError

AmountInput: TypeAlias = Number | Percent
"""An amount of currency, or a percentage of market value: Percent, or text such as "2%"."""

GROUPS_RULE: Final = (
    "groups are a list of GroupBand, such as GroupBand('energy', ['XLE'], high=0.2)"
)


class Direction(StrEnum):
    """Permitted direction of trades.

    >>> Direction("BUY_ONLY")
    <Direction.BUY_ONLY: 'BUY_ONLY'>
    """

    FULL = "FULL"
    BUY_ONLY = "BUY_ONLY"
    SELL_ONLY = "SELL_ONLY"


class Scope(StrEnum):
    """Securities to trade, and how far.

    >>> print(*Scope)
    ALL DRIFTED_TO_TARGET DRIFTED_TO_EDGE
    """

    ALL = "ALL"  # every security, to its target
    DRIFTED_TO_TARGET = "DRIFTED_TO_TARGET"  # only securities outside their bands, to target
    DRIFTED_TO_EDGE = "DRIFTED_TO_EDGE"  # only securities outside their bands, just inside


class OpenOrders(StrEnum):
    """Treatment of orders that were sent earlier and may be unfilled.

    >>> OpenOrders("COUNT")
    <OpenOrders.COUNT: 'COUNT'>
    """

    IGNORE = "IGNORE"
    COUNT = "COUNT"  # start from the holdings and cash that filled orders would leave


class BandRule(StrEnum):
    """Whether drift bands are hard limits, or yield by the least amount that admits a plan.

    >>> print(*BandRule)
    HARD YIELD
    """

    HARD = "HARD"
    YIELD = "YIELD"


@dataclass(frozen=True, slots=True)
class GroupBand:
    """Bounds on the total weight of several securities, as fractions of market value.

    ``low`` and ``high`` are numbers from 0 to 1. Raises RuleError for another number, a name of
    more than 100 characters or a group without a security, and OptionsConflictError for a low
    bound above the high one.

    >>> GroupBand("energy", {"XLE", "VDE"}, high=0.2).high
    Decimal('0.2')
    """

    name: str
    security_ids: frozenset[str]
    low: Decimal = Decimal(0)
    high: Decimal = Decimal(1)
    if TYPE_CHECKING:

        def __init__(
            self, name: str, security_ids: Iterable[str], low: Number = 0, high: Number = 1
        ) -> None: ...

    def __post_init__(self) -> None:
        require_type(("groups", "name"), self.name, str, "a name is a text")
        for bound in ("low", "high"):
            value = read_decimal(getattr(self, bound), ("groups", self.name, bound))
            object.__setattr__(self, bound, value)
        ids = read_ids(self.security_ids, ("groups", self.name, "security_ids"))
        object.__setattr__(self, "security_ids", ids)
        if not 1 <= len(self.name) <= 100:
            raise RuleError(("groups", self.name, "name"), self.name, "1 to 100 characters")
        require_visible(("groups",), self.name)
        if not self.security_ids:
            raise RuleError(("groups", self.name, "security_ids"), [], "at least one security")
        require_range(("groups", self.name, "low"), self.low, 0, 1)
        require_range(("groups", self.name, "high"), self.high, 0, 1)
        if self.low > self.high:
            detail = (
                f"group {self.name} has the low bound {self.low:f} above the high {self.high:f}"
            )
            raise OptionsConflictError(detail, ("groups",))


def require_consistent_groups(groups: Sequence[GroupBand], cash_floor: Amount) -> None:
    """Raise OptionsConflictError for groups that contradict each other, or the cash floor."""
    if len({group.name for group in groups}) < len(groups):
        raise OptionsConflictError("two groups have the same name", ("groups",))
    for part, whole in permutations(groups, 2):
        if part.low > whole.high and part.security_ids <= whole.security_ids:
            detail = (
                f"group {part.name} is at least {part.low:f}, but group {whole.name}, "
                f"which contains all its securities, is at most {whole.high:f}"
            )
            raise OptionsConflictError(detail, ("groups",))
    asking = [group for group in groups if group.low > 0]
    is_percent = isinstance(cash_floor, Percent)
    cash = cash_floor.to_currency(Decimal(1)) if is_percent else Decimal(0)
    if all(
        group.security_ids.isdisjoint(other.security_ids)
        for group, other in combinations(asking, 2)
    ):
        together = reduce(EXACT.add, (group.low for group in asking), cash)
        if together > 1:
            names = " and ".join([group.name for group in asking] + ["the cash floor"] * (cash > 0))
            detail = f"{names} together take at least {together:f} of market value"
            raise OptionsConflictError(detail, ("groups", "cash_floor"))


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


def _read_shares(value: Mapping[str, object], field: Path) -> Mapping[str, Decimal]:
    require_mapping(field, value)
    if are_decimals(value.values()):
        return cast("Mapping[str, Decimal]", value)
    return read_decimals(value, str(field[0]))


def _read_groups(value: Iterable[GroupBand], field: Path) -> tuple[GroupBand, ...]:
    return read_items(field, value, GroupBand, GROUPS_RULE)


_READERS: Final[dict[str, Callable[[Any, Path], object]]] = {
    **dict.fromkeys(
        ("cash_floor", "cash_ceiling", "minimum_value", "maximum_value", "turnover_cap"),
        read_amount,
    ),
    **dict.fromkeys(
        (
            *("cash_flow", "minimum_shares", "volume_share"),
            *("cost_rate", "cost_per_trade", "soft_band_price"),
        ),
        read_decimal,
    ),
    **dict.fromkeys(("do_not_buy", "do_not_sell", "frozen"), read_ids),
    **dict.fromkeys(("lots", "volumes"), _read_shares),
    "direction": partial(_read_choice, Direction),
    "scope": partial(_read_choice, Scope),
    "bands": partial(_read_choice, BandRule),
    "open_orders": partial(_read_choice, OpenOrders),
    "groups": _read_groups,
}
READ_OPTIONS: Final = tuple(_READERS)
NEVER_NONE: Final = frozenset(
    {
        *("cash_flow", "cost_rate", "do_not_buy", "do_not_sell", "frozen", "lots", "groups"),
        "volumes",
    }
)


def read_option(name: str, value: object) -> object:
    """Read the value of an option by its name; options of other types are returned unchanged.

    RuleError for None if the option does not admit it.

    >>> read_option("direction", "BUY_ONLY"), read_option("maximum_trades", 5)
    (<Direction.BUY_ONLY: 'BUY_ONLY'>, 5)
    """
    if value is None and name in NEVER_NONE:
        raise RuleError((name,), value, "leave the option out for its default, None is no value")
    reader = _READERS.get(name)
    return value if reader is None or value is None else reader(value, (name,))
