"""Checks of the types of arguments, because a bare TypeError names neither argument nor rule."""

from collections.abc import Iterable, Mapping
from typing import Final, TypeVar, cast

from optimization.errors import RuleError

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
    if not {*map(type, items)} <= {kind}:  # at the speed of C, because a book has millions
        for index, item in enumerate(items):
            require_type((*field, index), item, kind, rule)
    return items


def require_mapping(field: Path, value: object) -> None:
    """Raise RuleError unless the value has items by key, as dicts and series of pandas have.

    >>> require_mapping(("holdings",), {"VTI": 3})
    """
    if not hasattr(value, "items"):
        raise RuleError(field, value, BY_SECURITY_RULE)
