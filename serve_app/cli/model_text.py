"""Text of a model for people: the JSON that `models create` reads and `models edit` opens.

Lines that begin with # are comments. A model reads back as it was written.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Final

from serve_app.cli.exit_codes import CommandError, Ending

if TYPE_CHECKING:
    from serve_app.cli.names import Names
    from serve_app.client import Model, Position

MEMBERS: Final = ("name", "positions", "portfolios", "rebalance_options")
COMMENT: Final = "#"
POSITION_MEMBERS: Final = (
    "security_id",
    "target",
    "low_drift",
    "high_drift",
    "relative_drift",
    "absolute_drift",
)


def write_model_text(model: "Model", names: "Names") -> str:
    """Write a model, a line for each position, with tickers and portfolio names as comments."""
    positions = [_select_members(position, POSITION_MEMBERS) for position in model.positions]
    members = [f'"name": {_write_json(model.name)}', f'"positions": {_write_list(positions)}']
    members.append(f'"portfolios": {_write_list(model.portfolios)}')
    if model.rebalance_options:
        members.append(f'"rebalance_options": {_write_json(model.rebalance_options)}')
    known = [
        f"# {identifier} is {name}"
        for identifier, name in (names.tickers | names.portfolios).items()
    ]
    body = ",\n  ".join(members)
    return "\n".join([*known, f"{{\n  {body}\n}}\n"])


def build_model_document(model: "Model") -> dict[str, Any]:
    """Build the document of a model whose positions have only the band that was given."""
    members = {field.name: getattr(model, field.name) for field in fields(model)}
    positions = [
        _select_members(position, [field.name for field in fields(position)])
        for position in model.positions
    ]
    return members | {"positions": positions}


def _select_members(position: "Position", names: Iterable[str]) -> dict[str, Any]:
    """Select the members that a position has."""
    members = {name: getattr(position, name) for name in names}
    return {name: value for name, value in members.items() if value is not None}


def read_model_text(text: str, lines_above: int = 0) -> dict[str, Any]:
    """Read the members of a model; raise CommandError that names the line or the member.

    ``lines_above`` is the number of lines that a person sees above the text.
    """
    from serve_app.json_text import AmbiguousTextError, decode

    lines = ["" if line.lstrip().startswith(COMMENT) else line for line in text.splitlines()]
    try:
        body = decode("\n".join(lines).encode())
    except json.JSONDecodeError as error:
        place = f"line {error.lineno + lines_above}, column {error.colno}"
        raise CommandError(Ending.USAGE, f"{place} is not JSON: {error.msg}") from error
    except AmbiguousTextError as error:
        pointer = "/".join(("", *map(str, error.path)))
        raise CommandError(Ending.USAGE, f"{pointer}: {error.rule}") from error
    if not isinstance(body, dict):
        raise CommandError(Ending.USAGE, f"a model is an object with {', '.join(MEMBERS)}")
    members: dict[str, Any] = body
    if unknown := [name for name in members if name not in MEMBERS]:
        rule = f"no such member of a model; it has {', '.join(MEMBERS)}"
        raise CommandError(Ending.USAGE, f"/{unknown[0]}: {rule}")
    return members


def require_members(members: Mapping[str, Any], *names: str) -> None:
    """Raise CommandError unless a model has these members, and lists where it needs them."""
    if missing := [name for name in names if name not in members]:
        raise CommandError(Ending.USAGE, f"the model has no {', '.join(missing)}")
    for name in ("positions", "portfolios"):
        if not isinstance(members.get(name, []), list):
            raise CommandError(Ending.USAGE, f"/{name}: a list is needed")


def _write_list(values: Sequence[Any]) -> str:
    rows = ",\n    ".join(_write_json(value) for value in values)
    return f"[\n    {rows}\n  ]" if rows else "[]"


def _write_json(value: Any) -> str:
    """Write a value in one line, decimals as numbers with their own digits."""
    match value:
        case Decimal():
            return f"{value:f}"
        case Fraction():
            return json.dumps(str(value))
        case Mapping():
            members = (
                f"{_write_json(name)}: {_write_json(member)}" for name, member in value.items()
            )
            return f"{{{', '.join(members)}}}"
        case list() | tuple():
            return f"[{', '.join(map(_write_json, value))}]"
        case _:
            return json.dumps(value, ensure_ascii=False)
