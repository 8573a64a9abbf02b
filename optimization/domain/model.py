"""Model, Target and DriftBand: an investment model, validated on construction."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from optimization.domain.numbers import Weight, multiply_weight, weight_text
from optimization.domain.options import RebalanceOptions
from optimization.domain.rules import GENERAL, are_ordinary, require_identifier, require_visible
from optimization.errors import EmptyModelError, OptionsConflictError, RuleError

MAX_NAME_LENGTH = 255


@dataclass(frozen=True, slots=True)
class DriftBand:
    """Tolerance below and above a target, as fractions of market value.

    A band that is wider below than above is a cap.

    >>> DriftBand(Decimal("0.01"), Decimal("0.02")).high
    Decimal('0.02')
    """

    low: Weight
    high: Weight

    def __post_init__(self) -> None:
        _require_part(("band", "low"), self.low, "a drift")
        _require_part(("band", "high"), self.high, "a drift")


def relative_band(weight: Weight, relative: Decimal, absolute: Decimal | None = None) -> DriftBand:
    """Make a band as a fraction of its target, at most ``absolute``, on both sides.

    The 5/25 rule is 0.25 of the target and at most 0.05 of market value.

    >>> [relative_band(Decimal(w), Decimal("0.25"), Decimal("0.05")).low for w in ("0.1", "0.4")]
    [Decimal('0.025'), Decimal('0.05')]
    """
    _require_part(("relative_drift",), relative, "a relative drift")
    drift = multiply_weight(weight, relative)
    if absolute is not None:
        _require_part(("absolute_drift",), absolute, "an absolute drift")
        drift = min(drift, absolute)
    return DriftBand(drift, drift)


def _require_part(field: tuple[str, ...], value: Weight, name: str) -> None:
    finite = not isinstance(value, Decimal) or value.is_finite()
    if not (finite and 0 <= value <= 1):
        shown = value if isinstance(value, Decimal) else weight_text(value)
        raise RuleError(field, shown, f"{name} is a fraction from 0 to 1")


@dataclass(frozen=True, slots=True)
class Target:
    """One line of a model: the target weight of a security, as a fraction of market value.

    The weight is a Decimal of up to 12 decimals, or a Fraction (see numbers.py).

    >>> band = DriftBand(Decimal(0), Decimal("0.01"))
    >>> Target("5f3e9a7b1c2d4e6f8a9b0c1d", Decimal("0.25"), band).weight
    Decimal('0.25')
    """

    security_id: str
    weight: Weight
    band: DriftBand

    def __post_init__(self) -> None:
        GENERAL.check_target(self)


@dataclass(frozen=True, slots=True)
class Model:
    """Target weights and the portfolios that follow them, within the general rules.

    A target of zero is dropped, the name is trimmed. ``version`` counts changes of the model; a
    rebalance sets ``last_rebalance_date`` alone. The store assigns ``model_id``. ``options`` are
    the defaults of every rebalance of the model. The rules are ``rules.GENERAL``.

    >>> band = DriftBand(Decimal("0.01"), Decimal("0.01"))
    >>> Model(" Growth ", (Target("A" * 24, Decimal("0.6"), band),), ("P" * 24,)).name
    'Growth'
    """

    name: str
    targets: tuple[Target, ...]
    portfolio_ids: tuple[str, ...]
    version: int = 1
    model_id: str | None = None
    last_rebalance_date: datetime | None = None
    options: RebalanceOptions | None = None

    def __post_init__(self) -> None:
        name = self.name.strip()
        if not 1 <= len(name) <= MAX_NAME_LENGTH:
            raise RuleError(("name",), self.name, "a name has 1 to 255 characters")
        require_visible(("name",), name)
        if self.version < 1:
            raise RuleError(("version",), self.version, "a version is at least 1")
        _require_targets(self.targets)
        _require_portfolios(self.portfolio_ids)
        object.__setattr__(self, "name", name)
        kept = tuple(target for target in self.targets if target.weight > 0)
        object.__setattr__(self, "targets", kept)


def _require_targets(targets: tuple[Target, ...]) -> None:
    twice = _first_repeated(target.security_id for target in targets)
    if twice is not None:
        rule = "each security may stand once in a model"
        raise RuleError(("targets", twice, "security_id"), targets[twice].security_id, rule)
    GENERAL.check_sum(targets)


def _require_portfolios(portfolio_ids: tuple[str, ...]) -> None:
    if not portfolio_ids:
        raise RuleError(("portfolio_ids",), [], "a model has at least one portfolio")
    if not are_ordinary(portfolio_ids):
        for index, portfolio_id in enumerate(portfolio_ids):
            require_identifier(("portfolio_ids", index), portfolio_id)
    if len(set(portfolio_ids)) == len(portfolio_ids):
        return
    twice = _first_repeated(portfolio_ids)
    if twice is not None:
        rule = "each portfolio may stand once in a model"
        raise RuleError(("portfolio_ids", twice), portfolio_ids[twice], rule)


def require_targets(targets: Collection[object], options: RebalanceOptions) -> None:
    """Refuse a model without targets unless ``liquidate`` is set: the engine would sell everything.

    Raises EmptyModelError; and OptionsConflictError if ``liquidate`` is set for a model with
    targets, because the two requests contradict each other.

    >>> require_targets((), RebalanceOptions(liquidate=True))
    """
    if not targets and not options.liquidate:
        raise EmptyModelError
    if targets and options.liquidate:
        detail = f"liquidate: true is for a model without a target, and this one has {len(targets)}"
        raise OptionsConflictError(detail, ("liquidate",))


def _first_repeated(values: Iterable[str]) -> int | None:
    seen: set[str] = set()
    for index, value in enumerate(values):
        if value in seen:
            return index
        seen.add(value)
    return None
