"""Table of pre-trade rules."""

from collections.abc import Iterable

from rich.table import Table

from serve_app.cli.output import make_table
from serve_app.client.responses.rules import Rule


def tabulate_rules(rules: Iterable[Rule]) -> Table:
    """Tabulate rules with their limits and the number of ids that they name."""
    columns = (
        "rule",
        "version",
        "name",
        "kind",
        "severity",
        "option",
        "limit",
        "for",
        "securities",
    )
    rows = [
        (
            rule.rule_id,
            rule.version,
            rule.name,
            rule.kind,
            rule.severity,
            "yes" if rule.as_option else "no",
            _format_limit(rule),
            _format_scope(rule),
            len(rule.security_ids or ()) or None,
        )
        for rule in rules
    ]
    return make_table("Rules", columns, rows)


def _format_limit(rule: Rule) -> str:
    if rule.side is not None:
        return f"not to {rule.side.lower()}"
    if rule.part is not None:
        return f"{(rule.part * 100).normalize():f}%"
    return f"{rule.amount:f}"


def _format_scope(rule: Rule) -> str:
    limits = {"model": rule.models, "portfolio": rule.portfolios}
    parts = [f"{len(ids)} {noun}{'s' * (len(ids) > 1)}" for noun, ids in limits.items() if ids]
    return ", ".join(parts) or "all"
