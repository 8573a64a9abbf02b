"""Models as documents, with every weight and band as it was given."""

from collections.abc import Iterator
from typing import Final

from optimization import (
    GENERAL,
    GLOBECO,
    DriftBand,
    Model,
    ModelRules,
    RelativeBand,
    Target,
    Weight,
    relative_band,
    replace_invisible,
)
from optimization.errors import RuleError
from storage.mongo.connection import Document
from storage.mongo.decimal_codec import (
    decode_decimal,
    decode_weight,
    encode_weight,
    to_milliseconds,
)
from storage.options import decode_options, encode_options

# The index of portfolios takes an entry for each portfolio in one transaction, which has to fit the
# cache of a small server: with 256 MB, 100,000 portfolios take 0.2 s and 200,000 are refused.
MAX_PORTFOLIOS_PER_MODEL: Final = 100_000
# Marks a model that the rules of GlobeCo would refuse; a database without such models may be used
# under either rules.
RULES: Final = "rules"


def encode_model_contents(model: Model) -> Document:
    """Convert a model to a document without its id, version and times of change."""
    if len(model.portfolio_ids) > MAX_PORTFOLIOS_PER_MODEL:
        rule = f"a model has at most {MAX_PORTFOLIOS_PER_MODEL} portfolios"
        raise RuleError(("portfolio_ids",), len(model.portfolio_ids), rule)
    contents: Document = {
        "name": model.name,
        "positions": [_encode_target(target) for target in model.targets],
        "portfolios": list(model.portfolio_ids),
    }
    if not _is_permitted(model, GLOBECO):
        contents[RULES] = GENERAL.name
    if model.options is not None:
        contents["options"] = encode_options(model.options)
    if model.last_rebalance_date is not None:
        contents["last_rebalance_date"] = to_milliseconds(model.last_rebalance_date)
    return contents


def _is_permitted(model: Model, rules: ModelRules) -> bool:
    try:
        rules.check(model)
    except RuleError:
        return False
    return True


def _encode_target(target: Target) -> Document:
    """Convert a target to a document; a relative band has its widths in market value, too."""
    band = target.band
    position: Document = {
        "security_id": target.security_id,
        "target": encode_weight(target.weight),
        "low_drift": encode_weight(band.low),
        "high_drift": encode_weight(band.high),
    }
    if isinstance(band, RelativeBand):
        position["relative_drift"] = band.relative
        if band.absolute is not None:
            position["absolute_drift"] = band.absolute
    return position


def decode_model(document: Document) -> Model:
    """Convert a document to a model."""
    return Model(
        name=replace_invisible(document["name"]),  # because older names may hold any character
        targets=tuple(decode_targets(document["positions"])),
        portfolio_ids=tuple(document["portfolios"]),
        version=document["version"],
        model_id=str(document["_id"]),
        last_rebalance_date=document.get("last_rebalance_date"),
        options=decode_options(document["options"]) if "options" in document else None,
    )


def decode_targets(positions: list[Document]) -> Iterator[Target]:
    """Convert positions to targets."""
    # Bands are cached, because a model has few and each check costs a third of the reading; by
    # identity, because equal decimals may be written differently and are shown as written.
    bands: dict[tuple[int, int], DriftBand] = {}
    for position in positions:
        weight = decode_weight(position["target"])
        if "relative_drift" in position:
            yield Target(position["security_id"], weight, _decode_relative_band(weight, position))
            continue
        low, high = position["low_drift"], position["high_drift"]
        band = bands.get((id(low), id(high)))
        if band is None:
            band = bands[id(low), id(high)] = DriftBand(decode_weight(low), decode_weight(high))
        yield Target(position["security_id"], weight, band)


def _decode_relative_band(weight: Weight, position: Document) -> RelativeBand:
    cap = position.get("absolute_drift")
    relative = decode_decimal(position["relative_drift"])
    return relative_band(weight, relative, None if cap is None else decode_decimal(cap))
