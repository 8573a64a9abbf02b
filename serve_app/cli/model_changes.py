"""Changes of a model by flags: targets, bands, members and followers."""

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Final

import typer

if TYPE_CHECKING:
    from serve_app.client import Model

PERCENT: Final = "%"
SET_RULE: Final = "write SECURITY=TARGET, SECURITY=TARGET,BAND or SECURITY=TARGET,LOW,HIGH"


def change_positions(model: "Model", changes: Sequence[str], removals: Sequence[str]) -> "Model":
    """Remove securities, then add or change those of ``SECURITY=TARGET...`` texts.

    Raises BadParameter for any other text, and for a removal that the model does not have.
    """
    model = _remove_positions(model, removals)
    for text in changes:
        model = _set_position(model, text)
    return model


def _set_position(model: "Model", text: str) -> "Model":
    """Add a security or change its target; a target alone keeps the band.

    Raises BadParameter unless the text is SECURITY=TARGET[,BAND | ,LOW,HIGH].
    """
    from serve_app.client import Position

    # The last = divides the text, because an id may have one.
    security_id, _, amounts = text.rpartition("=")
    parts = [_parse_weight(part, text) for part in amounts.split(",")]
    positions_by_id = {position.security_id: position for position in model.positions}
    old = positions_by_id.get(security_id)
    match len(parts):
        case 1 if old is not None:
            new = replace(old, target=parts[0])
        case 2:
            new = Position(security_id, parts[0], high_drift=parts[1], low_drift=parts[1])
        case 3:
            new = Position(security_id, parts[0], high_drift=parts[2], low_drift=parts[1])
        case 1:
            raise typer.BadParameter(
                f"--set {text}: a security that is new needs a band; {SET_RULE}"
            )
        case _:
            raise typer.BadParameter(f"--set {text}: {SET_RULE}")
    return replace(model, positions=tuple({**positions_by_id, security_id: new}.values()))


def _remove_positions(model: "Model", security_ids: Sequence[str]) -> "Model":
    """Remove securities; raise BadParameter for a security that the model does not have."""
    _require_present(
        security_ids, [position.security_id for position in model.positions], "--remove"
    )
    remaining = tuple(
        position for position in model.positions if position.security_id not in security_ids
    )
    return replace(model, positions=remaining)


def change_followers(model: "Model", additions: Sequence[str], removals: Sequence[str]) -> "Model":
    """Add and remove portfolios; raise BadParameter for a removal that does not follow."""
    _require_present(removals, model.portfolios, "--remove-portfolio")
    remaining = [portfolio for portfolio in model.portfolios if portfolio not in removals]
    return replace(model, portfolios=tuple(dict.fromkeys([*remaining, *additions])))


def _require_present(identifiers: Sequence[str], present: Sequence[str], option: str) -> None:
    if missing := [identifier for identifier in identifiers if identifier not in present]:
        raise typer.BadParameter(f"{option} {missing[0]}: the model does not have it")


def _parse_weight(text: str, whole: str) -> Decimal | Fraction:
    from optimization import EXACT

    try:
        if "/" in text:
            return Fraction(text.strip())
        weight = Decimal(text.strip().removesuffix(PERCENT))
        if not weight.is_finite():
            raise ValueError(text)
        return EXACT.scaleb(weight, -2) if text.strip().endswith(PERCENT) else weight
    except (ArithmeticError, ValueError):
        raise typer.BadParameter(f"--set {whole}: {text!r} is no weight; {SET_RULE}") from None
