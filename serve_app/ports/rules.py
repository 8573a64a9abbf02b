"""Port of the pre-trade rules."""

from abc import abstractmethod
from typing import Protocol

from serve_app.ports.port import repeatable
from storage.rules.rule import Rule


class StoredRules(Protocol):
    """Pre-trade rules, found by their ids."""

    @abstractmethod
    async def add_rule(self, rule: Rule) -> Rule:
        """Store a new rule; raise NameTakenError if another rule has its name."""
        ...

    @repeatable
    @abstractmethod
    async def read_rule(self, rule_id: str) -> Rule:
        """Return the rule; raise NotFoundError if it is not stored."""
        ...

    @repeatable
    @abstractmethod
    async def list_rules(self) -> tuple[Rule, ...]:
        """Return all rules by name."""
        ...

    @abstractmethod
    async def replace_rule(self, rule: Rule) -> Rule:
        """Replace the rule of this version; raise StaleVersionError for another version."""
        ...

    @abstractmethod
    async def delete_rule(self, rule_id: str, version: int) -> None:
        """Remove the rule of this version."""
        ...
