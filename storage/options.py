"""Codec between options or overrides and documents, which leave out defaults of options."""

from collections.abc import Mapping
from dataclasses import fields
from enum import StrEnum
from typing import Any, Final

from optimization import (
    BandRule,
    Direction,
    GroupBand,
    OpenOrders,
    OptionOverrides,
    OverridesByPortfolio,
    Percent,
    RebalanceOptions,
    Scope,
    replace_invisible,
)
from storage.mongo.connection import Document
from storage.mongo.decimal_codec import decode_decimal, to_storable

DEFAULTS = RebalanceOptions()
ENUMS: Mapping[str, type[StrEnum]] = {
    "direction": Direction,
    "scope": Scope,
    "bands": BandRule,
    "open_orders": OpenOrders,
}
OWN_OPTIONS: Final = "options_by_portfolio"
NAMES: Final = frozenset(field.name for field in fields(RebalanceOptions))


def encode_options(options: RebalanceOptions) -> Document:
    """Convert options to a document without the time limit, which is a setting of the service."""
    return encode_overrides(OptionOverrides.from_options(options))


def decode_options(document: Mapping[str, Any]) -> RebalanceOptions:
    """Convert a document to options."""
    return decode_overrides(document).apply_to(DEFAULTS)


def encode_overrides(overrides: OptionOverrides) -> Document:
    """Convert the options that a request gave by name to a document that keeps defaults, too."""
    return {name: _encode_value(value) for name, value in overrides.values.items()}


def decode_overrides(document: Mapping[str, Any]) -> OptionOverrides:
    """Convert a document to options by name."""
    return OptionOverrides({name: _decode_value(name, value) for name, value in document.items()})


def encode_own_overrides(own: OverridesByPortfolio) -> Document:
    """Convert the options of single portfolios to pairs, because an id may contain a dot."""
    if not own:
        return {}
    pairs = [
        [portfolio_id, to_storable(encode_overrides(overrides))]
        for portfolio_id, overrides in own.items()
    ]
    return {OWN_OPTIONS: pairs}


def decode_own_overrides(document: Mapping[str, Any]) -> dict[str, OptionOverrides]:
    """Convert a document to the options of single portfolios."""
    pairs = document.get(OWN_OPTIONS, ())
    return {portfolio_id: decode_overrides(overrides) for portfolio_id, overrides in pairs}


def _encode_value(value: Any) -> Any:
    match value:
        case Percent():
            return {"percent": value.value}
        case frozenset():
            return sorted(value)
        case tuple():
            return [_encode_group(group) for group in value]
        case Mapping():  # pairs, because a name in a document may not begin with $
            return [[security_id, shares] for security_id, shares in value.items()]
        case _:
            return value


def _decode_value(name: str, value: Any) -> Any:
    match name:
        case _ if name not in NAMES:
            # An option of a later version, which must not keep a rebalance out of a list.
            return value
        case _ if name in ENUMS:
            return None if value is None else ENUMS[name](value)
        case "do_not_buy" | "do_not_sell" | "frozen":
            return frozenset(value)
        case "lots" | "volumes":
            pairs = value.items() if isinstance(value, Mapping) else value
            return {security_id: decode_decimal(shares) for security_id, shares in pairs}
        case "groups":
            return tuple(_decode_group(document) for document in value)
        case _ if isinstance(value, Mapping):
            return Percent(decode_decimal(value["percent"]))
        case "time_limit_s":
            return float(value)
        case _:
            return value if isinstance(value, bool | int | None) else decode_decimal(value)


def _encode_group(group: GroupBand) -> Document:
    ids = sorted(group.security_ids)
    return {"name": group.name, "security_ids": ids, "low": group.low, "high": group.high}


def _decode_group(document: Mapping[str, Any]) -> GroupBand:
    low, high = decode_decimal(document["low"]), decode_decimal(document["high"])
    return GroupBand(
        replace_invisible(document["name"]), frozenset(document["security_ids"]), low, high
    )
