"""Roles of tables: which hold the holdings, the prices, the model and options of portfolios."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Final

from optimization import find_field
from serve_app.files.faults import Faults, FilesRefusedError, Place, refuse
from serve_app.files.options_table import is_option_header
from serve_app.files.table import Table

HOLDINGS, PRICES, MODEL, OPTIONS = ROLES = ("holdings", "prices", "model", "options")
NAMES: Final[Mapping[str, str]] = {
    **dict.fromkeys(("holdings", "holding", "positions", "portfolios", "accounts"), HOLDINGS),
    **dict.fromkeys(("prices", "price", "price list", "quotes"), PRICES),
    **dict.fromkeys(("model", "targets", "target", "allocation", "target allocation"), MODEL),
    **dict.fromkeys(("options", "portfolio options", "options by portfolio"), OPTIONS),
}
NEEDS: Final[Mapping[str, str]] = {
    HOLDINGS: "portfolio, security and quantity, or portfolio and a column for each security",
    PRICES: "security and price",
    MODEL: "security, target and a band",
}


@dataclass(frozen=True, slots=True)
class RoleTables:
    """Tables by role; a table of holdings may have prices and targets, too."""

    holdings: list[Table] = field(default_factory=list[Table])
    prices: list[Table] = field(default_factory=list[Table])
    model: list[Table] = field(default_factory=list[Table])
    options: list[Table] = field(default_factory=list[Table])

    def list_tables(self, role: str) -> list[Table]:
        """Return the tables of a role."""
        tables: list[Table] = getattr(self, role)
        return tables


def assign_roles(tables: Sequence[Table]) -> RoleTables:
    """Assign roles by what the caller says, by the names of tables, then by their columns.

    Raises FilesRefusedError if a role has no table, or the model has several.
    """
    roles = RoleTables()
    for table in tables:
        role = recognize_role(table)
        if role is not None:
            roles.list_tables(role).append(table)
    _borrow_holdings(roles)
    missing = [role for role in NEEDS if not roles.list_tables(role)]
    if missing:
        raise _build_missing_error(tables, missing)
    if len(roles.model) > 1:
        others = " and ".join(str(_build_place(table)) for table in roles.model)
        raise refuse(_build_place(roles.model[-1]), f"give one model, not several: {others}")
    return roles


def recognize_role(table: Table) -> str | None:
    """Return the role that a table's name or columns show; None if neither does."""
    named = table.role or _find_named_role(table)
    if named is not None:
        return named
    fields = {find_field(header) for header in table.headers}
    if "quantity" in fields:
        return HOLDINGS
    if {"security", "target"} <= fields:
        return MODEL
    if {"security", "price"} <= fields:
        return PRICES
    if "portfolio" not in fields or "security" in fields:
        return None
    others = [header for header in table.headers if find_field(header) != "portfolio"]
    # Every header has to be an option, because a wide table of holdings may have a security with
    # the name of an option.
    return OPTIONS if others and all(map(is_option_header, others)) else HOLDINGS


def _find_named_role(table: Table) -> str | None:
    name = table.sheet if table.sheet is not None else PurePath(table.file).stem
    return NAMES.get(name.strip().casefold().replace("_", " "))


def _borrow_holdings(roles: RoleTables) -> None:
    """Let tables of holdings serve as prices and model, unless other tables do."""
    if not roles.prices:
        roles.prices.extend(table for table in roles.holdings if _has_field(table, "price"))
    if not roles.model:
        # A weight beside a quantity is usually the current one, so the header has to say target.
        roles.model.extend(table for table in roles.holdings if has_target_header(table))


def has_target_header(table: Table) -> bool:
    """Whether a header says that its weights are targets, not current weights."""
    return any(
        find_field(header) == "target" and "target" in header.casefold() for header in table.headers
    ) and _has_field(table, "security")


def _has_field(table: Table, name: str) -> bool:
    return any(find_field(header) == name for header in table.headers)


def _build_missing_error(tables: Sequence[Table], missing: Sequence[str]) -> FilesRefusedError:
    faults = Faults()
    first = tables[0]
    files = list(dict.fromkeys(table.file for table in tables))
    place = Place(files[0]) if len(files) == 1 else Place(", ".join(files))
    sheets = [table.sheet for table in tables if table.sheet is not None]
    for role in missing:
        kind = "sheet" if first.sheet is not None else "table"
        rule = f"no {kind} has the {role} ({NEEDS[role]})"
        if sheets:
            rule += f"; the sheets are {', '.join(repr(sheet) for sheet in sheets)}"
        faults.add(place, None, rule)
    return FilesRefusedError(faults.entries)


def _build_place(table: Table) -> Place:
    return Place(table.file, table.sheet)
