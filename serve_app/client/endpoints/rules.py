"""Pre-trade rules."""

from collections.abc import Mapping
from typing import Any

from serve_app.client.call import Call, change, delete, get, work
from serve_app.client.responses.rules import Rule


def list_rules() -> Call[tuple[Rule, ...]]:
    """List all rules by name."""
    return get(tuple[Rule, ...], "rules")


def add_rule(rule: Mapping[str, Any], *, idempotency_key: str | None = None) -> Call[Rule]:
    """Store a new rule, with the members of the body of POST /rules."""
    return work(Rule, ("rules",), dict(rule), idempotency_key)


def read_rule(rule_id: str) -> Call[Rule]:
    """Read a rule."""
    return get(Rule, "rule", rule_id)


def replace_rule(rule_id: str, rule: Mapping[str, Any], version: int) -> Call[Rule]:
    """Replace a whole rule of this version."""
    return change(Rule, "PUT", ("rule", rule_id), {**rule, "version": version}, version)


def delete_rule(rule_id: str, version: int) -> Call[None]:
    """Delete a rule of this version."""
    return delete(None, ("rule", rule_id), version)
