"""RebalanceOptions: the options of one rebalance; OptionOverrides: values that replace some."""

from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from decimal import Decimal
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, Final

from optimization.domain.numbers import Amount, Number, Percent
from optimization.domain.option_values import (
    READ_OPTIONS,
    AmountInput,
    BandRule,
    Direction,
    GroupBand,
    OpenOrders,
    Scope,
    read_option,
    require_consistent_groups,
)
from optimization.domain.rules import require_identifier, require_range, require_type
from optimization.errors import RESTRICTIONS, OptionsConflictError, RuleError


@dataclass(frozen=True, slots=True)
class RebalanceOptions:
    """Options of one rebalance; the defaults restrict nothing.

    Cash: a plan leaves at least ``cash_floor`` and at most ``cash_ceiling``, in currency or as a
    Percent of market value after costs. ``cash_flow`` is paid in (out, if negative) first, so
    market value and cash include it.

    Trades: ``direction``; ``scope``; ``do_not_buy``, ``do_not_sell`` and ``frozen`` securities; a
    holding outside the model that may not be sold is kept. ``lots`` maps a security to the shares
    of its lot (1 by default, fractions allowed). A trade has at least ``minimum_shares`` shares and
    is worth at least ``minimum_value``, and at most ``maximum_value``: currency, or a Percent of
    market value before costs. It has at most the part ``volume_share``, from 0 to 1, of the
    security's shares in ``volumes``; a security without a volume is then not traded. A plan has at
    most ``maximum_trades`` trades, worth at most ``turnover_cap`` together.

    Costs: cash pays ``cost_rate`` of each traded amount and ``cost_per_trade`` for each trade;
    ``costs_in_objective`` adds them to the drift that is minimised.

    Bands: ``groups`` bound groups of securities. ``bands`` says whether drift bands hold or yield;
    by default they yield to restrictions if lifting those would admit a plan inside every band. A
    ``soft_band_price`` permits violations at that price per unit of currency. ``fewest_trades``
    breaks ties of drift. ``time_limit_s`` bounds all solver calls of one portfolio together.
    ``liquidate`` confirms that a model without targets is intended: everything is sold.

    ``open_orders`` chooses the holdings that a portfolio is built from; the engine ignores it.
    ``volumes`` are the shares of each security that its market trades.

    Every field accepts several forms (see option_values.py): numbers of any type, ``"2%"``, names
    of choices, lists of ids. Raises RuleError, which names the option, and
    OptionsConflictError for options that exclude each other.

    >>> options = RebalanceOptions(cash_floor="2%", direction="BUY_ONLY", do_not_buy=["GME"])
    >>> options.cash_floor, options.direction, options.do_not_buy
    (Percent(value=Decimal('2')), <Direction.BUY_ONLY: 'BUY_ONLY'>, frozenset({'GME'}))
    """

    cash_floor: Amount = Decimal(0)
    cash_ceiling: Amount | None = None
    cash_flow: Decimal = Decimal(0)
    direction: Direction = Direction.FULL
    scope: Scope = Scope.ALL
    do_not_buy: frozenset[str] = frozenset()
    do_not_sell: frozenset[str] = frozenset()
    frozen: frozenset[str] = frozenset()
    lots: Mapping[str, Decimal] = field(default_factory=dict[str, Decimal], hash=False)
    minimum_shares: Decimal = Decimal(0)
    minimum_value: Amount = Decimal(0)
    maximum_value: Amount | None = None
    volume_share: Decimal | None = None
    maximum_trades: int | None = None
    turnover_cap: Amount | None = None
    cost_rate: Decimal = Decimal(0)
    cost_per_trade: Decimal = Decimal(0)
    costs_in_objective: bool = False
    groups: tuple[GroupBand, ...] = ()
    bands: BandRule | None = None
    soft_band_price: Decimal | None = None
    fewest_trades: bool = False
    liquidate: bool = False
    open_orders: OpenOrders = OpenOrders.IGNORE
    volumes: Mapping[str, Decimal] = field(default_factory=dict[str, Decimal], hash=False)
    time_limit_s: float = 30.0

    if TYPE_CHECKING:

        def __init__(
            self,
            cash_floor: AmountInput = ...,
            cash_ceiling: AmountInput | None = ...,
            cash_flow: Number = ...,
            direction: Direction | str = ...,
            scope: Scope | str = ...,
            do_not_buy: Iterable[str] = ...,
            do_not_sell: Iterable[str] = ...,
            frozen: Iterable[str] = ...,
            lots: Mapping[str, Number] = ...,
            minimum_shares: Number = ...,
            minimum_value: AmountInput = ...,
            maximum_value: AmountInput | None = ...,
            volume_share: Number | None = ...,
            maximum_trades: int | None = ...,
            turnover_cap: AmountInput | None = ...,
            cost_rate: Number = ...,
            cost_per_trade: Number = ...,
            costs_in_objective: bool = ...,
            groups: Iterable[GroupBand] = ...,
            bands: BandRule | str | None = ...,
            soft_band_price: Number | None = ...,
            fewest_trades: bool = ...,
            liquidate: bool = ...,
            open_orders: OpenOrders | str = ...,
            volumes: Mapping[str, Number] = ...,
            time_limit_s: float = ...,
        ) -> None: ...

    def __post_init__(self) -> None:
        for name in READ_OPTIONS:
            value = getattr(self, name)
            read = read_option(name, value)
            # Set only if converted, because a chunk makes equal options for many portfolios.
            if read is not value:
                object.__setattr__(self, name, read)
        self._require_numbers()
        for place, security_id in self.named_ids():
            require_identifier(place, security_id)
        for security_id in self.volumes:
            require_identifier(("volumes", security_id), security_id)
        _require_consistent(self)

    def named_ids(self) -> Iterator[tuple[tuple[str | int, ...], str]]:
        """Yield every security that an option names, with its path."""
        for name in ("do_not_buy", "do_not_sell", "frozen"):
            for security_id in sorted(getattr(self, name)):
                yield (name,), security_id
        for security_id in sorted(self.lots):
            yield ("lots", security_id), security_id
        for index, group in enumerate(self.groups):
            for security_id in sorted(group.security_ids):
                yield ("groups", index, "security_ids"), security_id

    def find_unmatched(
        self, known: Container[str]
    ) -> tuple[tuple[tuple[str | int, ...], str], ...]:
        """Find the securities that restrictions name and ``known`` lacks, each with its path."""
        return tuple(
            (place, security_id)
            for place, security_id in self.named_ids()
            if security_id not in known
        )

    @property
    def restricts(self) -> bool:
        """Whether a single security is restricted beyond its band."""
        named = (self.do_not_buy, self.do_not_sell, self.frozen, self.lots)
        narrowed = self.direction is not Direction.FULL or self.scope is not Scope.ALL
        narrowed = narrowed or self.limits_trade_size
        return narrowed or any(named) or any((self.minimum_shares, self.minimum_value))

    @property
    def limits_trade_size(self) -> bool:
        """Whether the size of a single trade is limited."""
        return self.maximum_value is not None or self.volume_share is not None

    @property
    def couples(self) -> bool:
        """Whether a constraint besides the cash floor couples securities or trades."""
        caps = (self.maximum_trades, self.turnover_cap, self.cash_ceiling, self.soft_band_price)
        tied = self.groups or self.minimum_shares or self.minimum_value or self.has_costs
        return bool(tied) or any(cap is not None for cap in caps)

    @property
    def has_costs(self) -> bool:
        """Whether trades cost anything."""
        return bool(self.cost_rate or self.cost_per_trade)

    @property
    def renews(self) -> bool:
        """Whether a limit starts again with each request, so repeated requests trade further."""
        caps = (self.maximum_trades, self.turnover_cap, self.maximum_value, self.volume_share)
        return self.scope is not Scope.ALL or any(cap is not None for cap in caps)

    @property
    def restrictions(self) -> tuple[str, ...]:
        """Names of the active restrictions; unlike scope, restrictions outrank bands.

        >>> RebalanceOptions(minimum_value=Decimal(50), scope=Scope.DRIFTED_TO_EDGE).restrictions
        ('minimum_value',)
        """
        return tuple(
            name
            for name in OUTRANKING_BANDS
            if getattr(self, name) != self._find_unrestricted_value(name)
        )

    def lift(self, names: Iterable[str]) -> "RebalanceOptions":
        """Lift some of the options.

        A lot below one share restricts nothing, and stays.

        >>> fine, round_lot = {"BTC": Decimal("0.001")}, {"CN1": Decimal(100)}
        >>> RebalanceOptions(lots=fine | round_lot).lift(["lots"]).lots == fine
        True
        """
        return replace(self, **{name: self._find_unrestricted_value(name) for name in names})

    def _find_unrestricted_value(self, name: str) -> Any:
        if name == "lots":
            # A fine lot stays, because it permits more plans than whole shares do.
            return {security_id: lot for security_id, lot in self.lots.items() if lot < 1}
        return _read_default(name)

    def _require_numbers(self) -> None:
        for name in ("cash_floor", "cash_ceiling", "turnover_cap", "maximum_value"):
            most = 100 if isinstance(getattr(self, name), Percent) else None
            most = most if name.startswith("cash") else None
            require_range((name,), _to_decimal(getattr(self, name)), 0, most)
        for name in ("minimum_shares", "minimum_value", "cost_per_trade", "soft_band_price"):
            require_range((name,), _to_decimal(getattr(self, name)), 0, None)
        require_range(("cost_rate",), self.cost_rate, 0, Decimal("0.5"))
        require_range(("volume_share",), self.volume_share or Decimal(0), 0, 1)
        if not self.cash_flow.is_finite():
            raise RuleError(("cash_flow",), self.cash_flow, "a cash flow is a finite amount")
        for security_id, lot in self.lots.items():
            if not (lot.is_finite() and lot > 0):
                raise RuleError(("lots", security_id), lot, "a lot is above 0 shares")
        for security_id, volume in self.volumes.items():
            require_range(("volumes", security_id), volume, 0, None)
        self._require_limits()

    def _require_limits(self) -> None:
        if self.maximum_trades is not None:
            rule = "a whole number from 0"
            require_type(("maximum_trades",), self.maximum_trades, Integral, rule)
            if self.maximum_trades < 0:
                raise RuleError(("maximum_trades",), self.maximum_trades, rule)
        require_type(("time_limit_s",), self.time_limit_s, Real, "a time limit is in seconds")
        if not self.time_limit_s > 0:
            raise RuleError(("time_limit_s",), self.time_limit_s, "a time limit is above 0 seconds")


OUTRANKING_BANDS: Final = (
    "direction",
    "do_not_buy",
    "do_not_sell",
    "frozen",
    "lots",
    "minimum_shares",
    "minimum_value",
    "maximum_value",
    "volume_share",
    "maximum_trades",
    "turnover_cap",
)


def _read_default(name: str) -> Any:
    return getattr(DEFAULTS, name)


def _require_consistent(options: RebalanceOptions) -> None:
    """Raise OptionsConflictError for options that contradict each other for every portfolio."""
    floor, ceiling = options.cash_floor, options.cash_ceiling
    # Compared in the same unit, because a percentage needs a portfolio to become currency.
    if type(floor) is type(ceiling) and _to_decimal(floor) > _to_decimal(ceiling):
        detail = "the cash floor is above the cash ceiling"
        raise OptionsConflictError(detail, ("cash_floor", "cash_ceiling"))
    require_consistent_groups(options.groups, floor)
    if options.costs_in_objective and not (options.cost_rate or options.cost_per_trade):
        detail = "costs_in_objective needs a cost_rate or a cost_per_trade above 0"
        raise OptionsConflictError(detail, ("costs_in_objective", "cost_rate", "cost_per_trade"))
    if options.bands is not None and options.soft_band_price is not None:
        detail = f"bands is {options.bands}, but soft_band_price is set too: set one of the two"
        raise OptionsConflictError(detail, ("bands", "soft_band_price"))
    least = options.minimum_value
    for name, called in (("turnover_cap", "turnover cap"), ("maximum_value", "maximum value")):
        cap = getattr(options, name)
        if type(cap) is type(least) and 0 < _to_decimal(cap) < _to_decimal(least):
            detail = f"the {called} is below the minimum value of a single trade"
            raise OptionsConflictError(detail, (name, "minimum_value"))


def _to_decimal(value: Amount | None) -> Decimal:
    return value.value if isinstance(value, Percent) else value or Decimal(0)


DEFAULTS: Final = RebalanceOptions()


@dataclass(frozen=True, slots=True)
class OptionOverrides:
    """Values that replace fields of RebalanceOptions, by name.

    They are checked only when applied, because a value may conflict with another option.

    >>> OptionOverrides({"maximum_trades": 5}).apply_to(RebalanceOptions()).maximum_trades
    5
    """

    values: Mapping[str, Any] = field(default_factory=dict[str, Any])

    @staticmethod
    def from_options(options: RebalanceOptions) -> "OptionOverrides":
        """Collect the options that differ from the defaults, without the service's time limit.

        >>> OptionOverrides.from_options(RebalanceOptions(fewest_trades=True, time_limit_s=9))
        OptionOverrides(values={'fewest_trades': True})
        """
        values = {option.name: getattr(options, option.name) for option in fields(options)}
        return OptionOverrides(
            {
                name: value
                for name, value in values.items()
                if value != getattr(DEFAULTS, name) and name != "time_limit_s"
            }
        )

    def apply_to(self, options: RebalanceOptions) -> RebalanceOptions:
        """Return the options with these values replaced.

        Raises RuleError for a value, and OptionsConflictError for values that exclude each other.
        """
        return replace(options, **self.values) if self.values else options

    def override_by(self, others: "OptionOverrides") -> "OptionOverrides":
        """Return these overrides, with the values of ``others`` taking precedence."""
        return OptionOverrides({**self.values, **others.values})

    @property
    def restrictions(self) -> RebalanceOptions:
        """The options that name securities, with the defaults of all others.

        >>> given = OptionOverrides({"fewest_trades": True, "frozen": frozenset({"VTI"})})
        >>> given.restrictions.find_unmatched(())
        ((('frozen',), 'VTI'),)
        """
        named = {name: value for name, value in self.values.items() if name in RESTRICTIONS}
        return RebalanceOptions(**named) if named else DEFAULTS


NO_OVERRIDES: Final = OptionOverrides()
OverridesByPortfolio = Mapping[str, OptionOverrides]
"""Options of single portfolios, by portfolio id, in place of those of all."""
