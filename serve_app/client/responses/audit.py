"""Entries of the audit log, and the result of a verification of the chain."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from storage.audit.chain import START, ChainVerifier, Fault, Link


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """A change, and its place in the chain of all changes."""

    seq: int
    entry_id: str
    at: datetime
    sealed_at: datetime
    principal: str | None
    on_behalf_of: str | None
    action: str
    object_type: str
    object_id: str
    version: int | None
    before_hash: str | None
    after_hash: str | None
    diff: Mapping[str, Any] | None
    outcome: str
    correlation_id: str | None
    previous_hash: str
    hash: str


@dataclass(frozen=True, slots=True)
class ChainLink:
    """A place in the chain, and the hash of the entry there."""

    seq: int
    hash: str


@dataclass(frozen=True, slots=True)
class AuditHead:
    """The end of the chain, and the last entry that was removed."""

    seq: int
    hash: str
    sealed_at: datetime | None
    cut: ChainLink | None


@dataclass(frozen=True, slots=True)
class AuditVerification:
    """Result of a verification: the number of entries, the last entry, and the fault if any."""

    entries: int
    last: ChainLink
    faults: tuple[Fault, ...]


def verify_entries(
    before: AuditHead,
    entries: Iterable[Mapping[str, Any]],
    read_head: Any,
    expected: Sequence[ChainLink] = (),
) -> AuditVerification:
    """Verify a chain whose entries arrive in ascending order.

    ``before`` is the head from before the first entry arrives; ``read_head`` reads it again after
    the last, because the chain grows meanwhile. ``expected`` are heads of earlier times.
    """
    cut = START if before.cut is None else Link(before.cut.seq, before.cut.hash)
    links = [Link(head.seq, head.hash) for head in (before, *expected)]
    verifier = ChainVerifier(cut)
    faults = [fault for entry in entries for fault in verifier.add(entry, links)]
    after: AuditHead = read_head()
    faults += verifier.end(Link(after.seq, after.hash))
    faults += [
        Fault(link.seq, None, f"missing: the chain ends at {after.seq}")
        for link in links
        if link.seq > after.seq
    ]
    last = ChainLink(verifier.last.seq, verifier.last.hash)
    return AuditVerification(verifier.entries, last, tuple(faults))
