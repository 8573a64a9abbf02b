"""Port of the audit log."""

from abc import abstractmethod
from typing import Protocol

from serve_app.ports.port import repeatable
from storage.audit.chain import Entry
from storage.audit.trail import Action
from storage.audit_log import AuditFilter, AuditHead


class AuditEntries(Protocol):
    """Entries of the audit log as JSON; a call that reads seals the records that wait first."""

    @repeatable
    @abstractmethod
    async def list_audit_entries(
        self, audit_filter: AuditFilter, offset: int, limit: int, direction: int
    ) -> tuple[tuple[Entry, ...], int]:
        """Return one page of the entries in this direction of the chain, and their number."""
        ...

    @repeatable
    @abstractmethod
    async def list_audit_entries_beyond(
        self, audit_filter: AuditFilter, seq: int | None, limit: int, direction: int
    ) -> tuple[Entry, ...]:
        """Return the next entries beyond a place of the chain; from its end if None."""
        ...

    @abstractmethod
    async def record_refusal(self, action: Action, operation: str, path: str, reason: str) -> None:
        """Add a refusal to the audit log, with the principal of the call."""
        ...

    @repeatable
    @abstractmethod
    async def read_audit_head(self) -> AuditHead:
        """Return the last entry, and the last that was removed."""
        ...
