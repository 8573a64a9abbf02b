"""Model, Target and DriftBand: an investment model and its rules, checked when one is made."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from optimization.errors import RuleError
from optimization.identifier import require_identifier
from optimization.options import RebalanceOptions

WEIGHT_STEP = Decimal("0.005")
HIGHEST_WEIGHT = Decimal("0.95")
MOST_TARGETS = 100
LONGEST_NAME = 255


@dataclass(frozen=True, slots=True)
class DriftBand:
    """How far below and above its target a security may stay, as fractions of market value.

    >>> DriftBand(Decimal("0.01"), Decimal("0.02")).high
    Decimal('0.02')
    """

    low: Decimal
    high: Decimal

    def __post_init__(self) -> None:
        for name, value in (("low", self.low), ("high", self.high)):
            if not (value.is_finite() and 0 <= value <= 1):
                raise RuleError(("band", name), value, "a drift is a fraction from 0 to 1")
        if self.low > self.high:
            rule = f"the low drift may not exceed the high drift {self.high:f}"
            raise RuleError(("band", "low"), self.low, rule)


@dataclass(frozen=True, slots=True)
class Target:
    """One line of a model: the weight a security should have, as a fraction of market value.

    >>> Target("5f3e9a7b1c2d4e6f8a9b0c1d", Decimal("0.25"), DriftBand(Decimal(0), Decimal("0.01"))).weight
    Decimal('0.25')
    """

    security_id: str
    weight: Decimal
    band: DriftBand

    def __post_init__(self) -> None:
        require_identifier(("security_id",), self.security_id)
        if not (self.weight.is_finite() and 0 <= self.weight <= HIGHEST_WEIGHT):
            raise RuleError(("weight",), self.weight, "a target is from 0 to 0.95")
        if self.weight % WEIGHT_STEP != 0:
            raise RuleError(("weight",), self.weight, "a target is a multiple of 0.005")


@dataclass(frozen=True, slots=True)
class Model:
    """Target weights and the portfolios that follow them.

    A target of zero is dropped, the name is trimmed; ``version`` counts changes of the model and
    is not touched by a rebalance, which only sets ``last_rebalance_date``. ``model_id`` is given
    by the store. ``options`` are what a rebalance of this model asks for unless it says otherwise.

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
        if not 1 <= len(name) <= LONGEST_NAME:
            raise RuleError(("name",), self.name, "a name has 1 to 255 characters")
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
    invested = sum((target.weight for target in targets), Decimal(0))
    if invested > HIGHEST_WEIGHT:
        rule = "the targets may sum to 0.95 at most (at least 5 % stays in cash)"
        raise RuleError(("targets",), invested, rule)
    count = sum(target.weight > 0 for target in targets)
    if count > MOST_TARGETS:
        raise RuleError(("targets",), count, "a model has at most 100 positions with a target")


def _require_portfolios(portfolio_ids: tuple[str, ...]) -> None:
    if not portfolio_ids:
        raise RuleError(("portfolio_ids",), [], "a model has at least one portfolio")
    for index, portfolio_id in enumerate(portfolio_ids):
        require_identifier(("portfolio_ids", index), portfolio_id)
    twice = _first_repeated(portfolio_ids)
    if twice is not None:
        rule = "each portfolio may stand once in a model"
        raise RuleError(("portfolio_ids", twice), portfolio_ids[twice], rule)


def _first_repeated(values: Iterable[str]) -> int | None:
    seen: set[str] = set()
    for index, value in enumerate(values):
        if value in seen:
            return index
        seen.add(value)
    return None
