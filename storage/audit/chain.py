"""The hash chain of the audit log: canonical bytes of an entry, and the verification of a chain.

Each entry holds the hash of the entry before it. The hash of an entry is the SHA-256 of its JSON
without the member ``hash``: names sorted, no blanks, UTF-8. The module imports no database driver,
so that a client can verify a chain that it received.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

FIRST_PREVIOUS_HASH: Final = "0" * 64
CUT: Final = "audit.cut"
"""Action of the entry that keeps the hash of the last removed entry."""

Entry = Mapping[str, Any]
"""An entry as JSON: strings, whole numbers, true, false, null, lists and objects."""


@dataclass(frozen=True, slots=True)
class Link:
    """The place of an entry in the chain, and its hash."""

    seq: int
    hash: str


START: Final = Link(0, FIRST_PREVIOUS_HASH)
"""The place before the first entry."""


@dataclass(frozen=True, slots=True)
class Fault:
    """An entry that differs from what was sealed; ``entry_id`` is None if the entry is missing."""

    seq: int
    entry_id: str | None
    reason: str

    def __str__(self) -> str:
        suffix = "" if self.entry_id is None else f" ({self.entry_id})"
        return f"entry {self.seq}{suffix}: {self.reason}"


def encode_canonically(value: Any) -> bytes:
    """Write JSON in the canonical form that is hashed.

    >>> encode_canonically({"b": [1, None], "a": "é"}).decode()
    '{"a":"é","b":[1,null]}'
    """
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.encode()


def digest(value: Any) -> str:
    """SHA-256 of the canonical bytes, in hexadecimal digits."""
    return hashlib.sha256(encode_canonically(value)).hexdigest()


def hash_entry(entry: Entry) -> str:
    """Hash an entry: the digest of all members except ``hash``."""
    return digest({name: value for name, value in entry.items() if name != "hash"})


def read_cut(entry: Entry) -> Link:
    """Return the last removed entry, as an entry of the action ``CUT`` names it.

    >>> read_cut({"diff": {"through": 7, "hash": "ab"}})
    Link(seq=7, hash='ab')
    """
    return Link(entry["diff"]["through"], entry["diff"]["hash"])


class ChainVerifier:
    """Verifier of a chain whose entries arrive in ascending order.

    ``start`` is the last removed entry, which the newest entry of the action ``CUT`` confirms.
    Entries up to ``start`` may still be stored.
    """

    def __init__(self, start: Link = START) -> None:
        self.entries = 0
        self._start = start
        self._last = start
        self._last_id: str | None = None
        self._cut = START

    @property
    def last(self) -> Link:
        """The last entry."""
        return self._last

    def add(self, entry: Entry, expected: Iterable[Link] = ()) -> Iterator[Fault]:
        """Check the next entry, also against expected links; yield its faults."""
        seq, entry_id = entry["seq"], entry["entry_id"]
        if type(seq) is not int or seq < 1 or self._start.seq < seq <= self._last.seq:
            yield Fault(seq, entry_id, "inserted: the chain has no such place")
            return
        if seq <= self._start.seq:
            return  # because an interrupted removal left the entry
        yield from self._find_missing(seq)
        if hash_entry(entry) != entry["hash"]:
            yield Fault(seq, entry_id, "edited: its contents do not have its hash")
        elif seq == self._last.seq + 1 and entry["previous_hash"] != self._last.hash:
            reason = f"edited: entry {seq} was sealed after an entry of another hash"
            yield Fault(self._last.seq, self._last_id, reason)
        if any(link.seq == seq and link.hash != entry["hash"] for link in expected):
            yield Fault(seq, entry_id, "edited: it had another hash when that was noted")
        if entry["action"] == CUT:
            self._cut = read_cut(entry)
        self.entries += 1
        self._last, self._last_id = Link(seq, entry["hash"]), entry_id

    def end(self, head: Link) -> Iterator[Fault]:
        """Check the end of the chain against its head; yield missing and surplus entries."""
        yield from self._find_missing(head.seq + 1)
        if self._last.seq > head.seq:
            reason = f"inserted: the chain ends at {head.seq}"
            yield Fault(self._last.seq, self._last_id, reason)
        elif self._last.seq == head.seq and self._last.hash != head.hash:
            yield Fault(self._last.seq, self._last_id, "edited: the head has another hash")
        if self._start != self._cut:
            reason = f"missing: the newest cut in the chain is at {self._cut.seq}"
            yield Fault(self._start.seq, None, reason)

    def _find_missing(self, seq: int) -> Iterator[Fault]:
        """Yield a fault for all entries that are missing before this one."""
        first, last = self._last.seq + 1, seq - 1
        if first == last:
            yield Fault(first, None, "missing")
        elif first < last:
            yield Fault(first, None, f"missing, with all up to {last}")
