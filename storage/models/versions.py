"""Versions of models as documents, written in the transaction of the change.

Every version has all positions. Only every ``FULL_EVERY``-th has all portfolios, because a model of
100,000 portfolios takes megabytes; the others have the added and removed portfolios. A model of an
earlier release has no stored versions: its current one is stored before the first change.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from bson import ObjectId
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.asynchronous.database import AsyncDatabase

from storage.audit.author import Author, FindAuthor, find_no_author
from storage.audit.chain import digest
from storage.audit.trail import Action, AuditTrail, to_plain
from storage.mongo.connection import Document

COLLECTION: Final = "model_versions"
FULL_EVERY: Final = 50
MAX_LISTED_PORTFOLIOS: Final = 100  # ids of added or removed portfolios in the changes of a version
MAX_LISTED_POSITIONS: Final = 100
FIELDS: Final = ("name", "options", "last_rebalance_date")
CONTENTS: Final = (*FIELDS, "positions")


class ModelVersions:
    """Writer of the versions of models and of their records for the audit log.

    Each call belongs to the transaction of the change; ``at`` is the time by the clock of the
    database.
    """

    def __init__(
        self, database: AsyncDatabase[Document], find_author: FindAuthor = find_no_author
    ) -> None:
        self._versions = database[COLLECTION]
        self._trail = AuditTrail(database, find_author)
        self._find_author = find_author

    async def add_first(self, session: AsyncClientSession, at: datetime, model: Document) -> None:
        """Store the first version of a new model."""
        version = _encode_version(model, self._find_author(), at)
        await self._versions.insert_one(version, session=session)
        await self._record(session, at, Action.MODEL_CREATED, model, after_hash=hash_model(model))

    async def add_next(
        self, session: AsyncClientSession, at: datetime, before: Document, after: Document
    ) -> None:
        """Store the version that a change makes, with its differences from the version before."""
        await self._ensure_version(session, before)
        changes = compare_models(before, after)
        document = _encode_version(after, self._find_author(), at) | {"changes": changes}
        delta = _compare_portfolios(before["portfolios"], after["portfolios"])
        if after["version"] % FULL_EVERY and delta is not None:
            del document["portfolios"]
            document["portfolio_changes"] = delta
        await self._versions.insert_one(document, session=session)
        hashes = {"before_hash": hash_model(before), "after_hash": hash_model(after)}
        await self._record(
            session, at, Action.MODEL_EDITED, after, diff=_summarize_changes(changes), **hashes
        )

    async def end(self, session: AsyncClientSession, at: datetime, model: Document) -> None:
        """Record the deletion of a model; its versions stay."""
        await self._ensure_version(session, model)
        await self._record(session, at, Action.MODEL_DELETED, model, before_hash=hash_model(model))

    async def _record(
        self,
        session: AsyncClientSession,
        at: datetime,
        action: Action,
        model: Document,
        **details: Any,
    ) -> None:
        record = self._trail.record(action, str(model["_id"]), model["version"], **details)
        await self._trail.append(session, at, record)

    async def _ensure_version(self, session: AsyncClientSession, model: Document) -> None:
        """Store a version that an earlier release made, unless the version is stored already."""
        key = {"_id": build_version_id(model["_id"], model["version"])}
        if await self._versions.find_one(key, {"_id": 1}, session=session) is None:
            version = _encode_version(model, Author(), model["updated_at"])
            await self._versions.insert_one(version, session=session)


def build_version_id(model_id: ObjectId, version: int) -> str:
    """Build the key of a version; the keys of a model ascend with the version.

    >>> build_version_id(ObjectId("0" * 24), 12)
    '000000000000000000000000:0000000012'
    """
    return f"{model_id}:{version:010}"


def compare_models(before: Document, after: Document) -> Document:
    """Compare two documents of a model: fields, positions by security, and portfolios.

    >>> before = {"name": "A", "positions": [{"security_id": "S", "target": 1}], "portfolios": []}
    >>> compare_models(before, before | {"name": "B", "portfolios": ["P"]})["fields"]
    [{'field': 'name', 'before': 'A', 'after': 'B'}]
    """
    fields = [
        {"field": name, "before": before.get(name), "after": after.get(name)}
        for name in FIELDS
        if before.get(name) != after.get(name)
    ]
    old, new = _index_by_security(before), _index_by_security(after)
    positions = [
        {"security_id": security_id, "before": old.get(security_id), "after": new.get(security_id)}
        for security_id in {**old, **new}
        if old.get(security_id) != new.get(security_id)
    ]
    former, current = set(before["portfolios"]), set(after["portfolios"])
    return {
        "fields": fields,
        "positions": positions,
        "portfolios_added": sorted(current - former)[:MAX_LISTED_PORTFOLIOS],
        "portfolios_removed": sorted(former - current)[:MAX_LISTED_PORTFOLIOS],
        "number_of_portfolios_added": len(current - former),
        "number_of_portfolios_removed": len(former - current),
    }


def hash_model(model: Document) -> str:
    """Hash the contents of a model, as canonical JSON."""
    return digest(to_plain({name: model.get(name) for name in (*CONTENTS, "portfolios")}))


def _summarize_changes(changes: Document) -> Document:
    """Limit changes to the first positions and their number, for the audit log."""
    positions = changes["positions"]
    first = positions[:MAX_LISTED_POSITIONS]
    return {**changes, "positions": first, "number_of_positions": len(positions)}


def apply_portfolio_changes(
    portfolios: Sequence[str], delta: Mapping[str, Sequence[str]]
) -> list[str]:
    """Return the portfolios of the next version: without the removed ones, the added ones last.

    >>> apply_portfolio_changes(["P", "Q"], {"removed": ["P"], "added": ["R"]})
    ['Q', 'R']
    """
    removals = frozenset(delta["removed"])
    others = [portfolio_id for portfolio_id in portfolios if portfolio_id not in removals]
    return [*others, *delta["added"]]


def _compare_portfolios(before: Sequence[str], after: Sequence[str]) -> Document | None:
    """Compare two lists of portfolios; None if the whole new list is shorter than the changes."""
    former, current = frozenset(before), frozenset(after)
    delta = {
        "added": [portfolio_id for portfolio_id in after if portfolio_id not in former],
        "removed": [portfolio_id for portfolio_id in before if portfolio_id not in current],
    }
    if len(delta["added"]) + len(delta["removed"]) > len(after):
        return None
    # None for a list in another order, because additions and removals do not lead to it.
    return delta if apply_portfolio_changes(before, delta) == list(after) else None


def _encode_version(model: Document, author: Author, at: datetime) -> Document:
    """Make the full document of a version."""
    return {
        "_id": build_version_id(model["_id"], model["version"]),
        "model_id": model["_id"],
        "version": model["version"],
        "at": at,
        "principal": author.principal,
        "correlation_id": author.correlation_id,
        **{name: model[name] for name in CONTENTS if name in model},
        "portfolios": model["portfolios"],
        "changes": None,
    }


def _index_by_security(model: Document) -> dict[str, dict[str, Any]]:
    return {position["security_id"]: position for position in model["positions"]}
