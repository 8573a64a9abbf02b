"""Rules of arguments, ids, names, ranges and models; checks raise RuleError with the field."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING, Final, TypeVar, cast

from optimization.domain.numbers import EXACT, Weight, add_weights, find_denominator, weight_text
from optimization.errors import INVISIBLE, RuleError

if TYPE_CHECKING:
    from optimization.domain.model import Model, Target

T = TypeVar("T")
Path = tuple[str | int, ...]

MODEL_RULE: Final = "a model is a Model, such as Model({'VTI': 0.6, 'BND': 0.4}, band=0.05)"
PORTFOLIO_RULE: Final = (
    "a portfolio is a Portfolio, such as Portfolio('ira', 2000, {'VTI': 3}, {'VTI': 291.40})"
)
OPTIONS_RULE: Final = "options are RebalanceOptions, such as RebalanceOptions(cash_floor='2%')"
SECURITIES_RULE: Final = "securities are PricedTargets, as price_targets(model, prices) makes them"
OUTCOME_RULE: Final = "an outcome is a PortfolioOutcome, as rebalance(model, portfolio) makes it"
BAND_RULE: Final = "a band is a DriftBand, such as DriftBand(0.05, 0.05)"
BY_SECURITY_RULE: Final = "a mapping from security ids to numbers, such as {'VTI': 12.5}"

MAX_IDENTIFIER_LENGTH = 64
IDENTIFIER_RULE = (
    f"an id has 1 to {MAX_IDENTIFIER_LENGTH} printable characters, without blanks at its ends"
)
ORDINARY_IDENTIFIERS = re.compile(r"[!-~]{1,64}(?:\n[!-~]{1,64})*")  # one a line
GLOBECO_IDENTIFIER = re.compile(r"[A-Za-z0-9]{24}")
# Digits of a Decimal128, because the engine counts weights in parts of the common denominator.
MAX_DENOMINATOR = 10**34


def require_type(field: Path, value: object, kind: type, rule: str) -> None:
    """Raise RuleError, which names the argument, unless the value is of the kind.

    >>> require_type(("model",), {"VTI": 0.6}, str, "a model is a text")
    Traceback (most recent call last):
    optimization.errors.RuleError: model is {'VTI': 0.6}: a model is a text
    """
    if not isinstance(value, kind):
        raise RuleError(field, value, rule)


def read_items(field: Path, values: object, kind: type[T], rule: str) -> tuple[T, ...]:
    """Read an iterable of items of the kind; RuleError for anything else, a text included.

    >>> read_items(("portfolio_ids",), "P1", str, "a list of ids")
    Traceback (most recent call last):
    optimization.errors.RuleError: portfolio_ids is 'P1': a list of ids
    """
    if isinstance(values, str | Mapping) or not isinstance(values, Iterable):
        raise RuleError(field, values, rule)
    items = tuple(cast("Iterable[T]", values))
    if not {*map(type, items)} <= {kind}:  # compared in C, because a book has millions
        for index, item in enumerate(items):
            require_type((*field, index), item, kind, rule)
    return items


def require_mapping(field: Path, value: object) -> None:
    """Raise RuleError unless the value has items by key, as dicts and series of pandas have.

    >>> require_mapping(("holdings",), {"VTI": 3})
    """
    if not hasattr(value, "items"):
        raise RuleError(field, value, BY_SECURITY_RULE)


def is_visible(text: str) -> bool:
    r"""Whether a text has no control, bidi, zero-width or otherwise invisible character.

    The space is the only blank allowed.

    >>> is_visible("Müller & Söhne"), is_visible("VTI\u200b")
    (True, False)
    """
    return text.isprintable() and INVISIBLE.search(text) is None


def require_visible(field: tuple[str | int, ...], name: str) -> None:
    """Raise RuleError for a name with an invisible character."""
    if not is_visible(name):
        rule = "a name has no control, bidi, zero-width or otherwise invisible characters"
        raise RuleError(field, name, rule)


def replace_invisible(text: str) -> str:
    r"""Replace every invisible character of a text.

    >>> replace_invisible("Growth\x1b[2J")
    'Growth�[2J'
    """
    return "".join(character if is_visible(character) else "\ufffd" for character in text)


@lru_cache(maxsize=16_384)  # because a request repeats securities for each portfolio
def is_identifier(value: str) -> bool:
    """Whether a text can be the id of a security or a portfolio.

    >>> is_identifier("BRK.B"), is_identifier(" VTI")
    (True, False)
    """
    fits = 1 <= len(value) <= MAX_IDENTIFIER_LENGTH and value == value.strip()
    return fits and is_visible(value)


def require_identifier(field: tuple[str | int, ...], value: object) -> None:
    """Raise RuleError unless a value is the id of a security or a portfolio."""
    if not isinstance(value, str) or not is_identifier(value):
        raise RuleError(field, value, IDENTIFIER_RULE)


def are_ordinary(values: Sequence[str]) -> bool:
    r"""Whether all are ids of printable ASCII, ten times as fast as ``is_identifier``.

    >>> are_ordinary(["P1", "P2"]), are_ordinary(["P1\nP2"]), are_ordinary(["Müller"])
    (True, False, False)
    """
    joined = "\n".join(values)
    has_one_line_each = joined.count("\n") == len(values) - 1
    return has_one_line_each and ORDINARY_IDENTIFIERS.fullmatch(joined) is not None


def require_range(
    path: tuple[str, ...], value: Decimal, least: Decimal | int, most: Decimal | int | None
) -> None:
    """Raise RuleError unless a value is finite and in the range."""
    if not (value.is_finite() and value >= least and (most is None or value <= most)):
        rule = f"from {least}" if most is None else f"from {least} to {most}"
        raise RuleError(path, value, rule)


@dataclass(frozen=True, slots=True)
class ModelRules:
    """Limits of a model: ``GENERAL`` are the engine's own, ``GLOBECO`` a stricter contract.

    >>> GENERAL.max_targets, GLOBECO.max_invested
    (5000, Decimal('0.95'))
    """

    name: str
    identifier_rule: str
    is_identifier: Callable[[str], object]
    weight_step: Decimal
    weight_rule: str
    max_weight: Decimal
    max_invested: Decimal  # the sum of all targets
    invested_rule: str
    max_targets: int
    admits_fractions: bool  # targets such as 1/3
    admits_caps: bool  # bands that are wider below than above
    admits_relative_bands: bool  # bands in fractions of their targets

    @property
    def description(self) -> dict[str, str | int | bool]:
        """The rules as plain data, for a document."""
        return {
            "name": self.name,
            "ids": self.identifier_rule,
            "target": self.weight_rule,
            "highest_target": f"{self.max_weight:f}",
            "highest_sum_of_targets": f"{self.max_invested:f}",
            "most_positions": self.max_targets,
            "fractions": self.admits_fractions,
            "low_drift_above_high_drift": self.admits_caps,
        }

    def check(self, model: "Model") -> None:
        """Raise RuleError for the first rule that a model breaks."""
        for index, target in enumerate(model.targets):
            self.check_target(target, ("targets", index))
        self.check_sum(model.targets)
        for index, portfolio_id in enumerate(model.portfolio_ids):
            self.check_identifier(("portfolio_ids", index), portfolio_id)
        if model.options is None:
            return
        for field, security_id in model.options.named_ids():
            self.check_identifier(("options", *field), security_id)

    def check_sum(self, targets: Sequence["Target"]) -> None:
        """Raise RuleError for the number of targets, or for their sum."""
        if find_denominator(target.weight for target in targets) > MAX_DENOMINATOR:
            rule = "the targets have a common denominator of at most 34 digits"
            raise RuleError(("targets",), "fractions", rule)
        invested = add_weights(target.weight for target in targets)
        if invested > self.max_invested:
            raise RuleError(("targets",), _show(invested), self.invested_rule)
        count = sum(target.weight > 0 for target in targets)
        if count > self.max_targets:
            rule = f"a model has at most {self.max_targets:,} positions with a target"
            raise RuleError(("targets",), count, rule)

    def check_target(self, target: "Target", field: Path = ()) -> None:
        """Raise RuleError for one line of a model, found at ``field``."""
        self.check_identifier((*field, "security_id"), target.security_id)
        weight, band = target.weight, target.band
        finite = not isinstance(weight, Decimal) or weight.is_finite()
        if not (finite and 0 <= weight <= self.max_weight):
            rule = f"a target is from 0 to {self.max_weight:f}"
            raise RuleError((*field, "weight"), _show(weight), rule)
        whole = self.admits_fractions
        if isinstance(weight, Decimal):
            whole = EXACT.remainder(weight, self.weight_step) == 0
        if not whole:
            raise RuleError((*field, "weight"), _show(weight), self.weight_rule)
        if band.is_relative and not self.admits_relative_bands:
            rule = "a band is a low and a high drift, in fractions of market value"
            raise RuleError((*field, "band"), "relative", rule)
        if band.low > band.high and not self.admits_caps:
            rule = f"the low drift may not exceed the high drift {weight_text(band.high)}"
            raise RuleError((*field, "band", "low"), _show(band.low), rule)

    def check_identifier(self, field: Path, value: object) -> None:
        """Raise RuleError for an id that does not match the rules."""
        if not isinstance(value, str) or not self.is_identifier(value):
            raise RuleError(field, value, self.identifier_rule)


def _show(weight: Weight) -> object:
    return weight if isinstance(weight, Decimal) else weight_text(weight)


GENERAL = ModelRules(
    name="general",
    identifier_rule=IDENTIFIER_RULE,
    is_identifier=is_identifier,
    weight_step=Decimal("1E-12"),
    weight_rule="a target has at most 12 decimals, or is the text of a fraction such as 1/3",
    max_weight=Decimal(1),
    max_invested=Decimal(1),
    invested_rule="the targets may sum to 1 at most",
    max_targets=5_000,
    admits_fractions=True,
    admits_caps=True,
    admits_relative_bands=True,
)

GLOBECO = ModelRules(
    name="globeco",
    identifier_rule="an id has exactly 24 characters of A-Z, a-z and 0-9",
    is_identifier=GLOBECO_IDENTIFIER.fullmatch,
    weight_step=Decimal("0.005"),
    weight_rule="a target is a multiple of 0.005",
    max_weight=Decimal("0.95"),
    max_invested=Decimal("0.95"),
    invested_rule="the targets may sum to 0.95 at most (at least 5 % stays in cash)",
    max_targets=100,
    admits_fractions=False,
    admits_caps=False,
    admits_relative_bands=False,
)

MODEL_RULES: Mapping[str, ModelRules] = {rules.name: rules for rules in (GLOBECO, GENERAL)}
"""Both rules, by name."""
