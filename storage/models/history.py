"""History of models: their stored versions, with author and changes."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from pymongo.asynchronous.database import AsyncDatabase

from optimization import Model, RebalanceOptions, Target
from storage.audit.author import UNKNOWN_AUTHOR, Author
from storage.errors import NotFoundError
from storage.models.documents import decode_model, decode_targets
from storage.models.model_store import COLLECTION as MODELS
from storage.models.versions import COLLECTION, apply_portfolio_changes, build_version_id
from storage.mongo.connection import Document, require_object_id, translate_failures
from storage.options import decode_options

HEADING: Final = {"model_id": 1, "version": 1, "name": 1, "changes": 1, "at": 1} | dict.fromkeys(
    ("principal", "on_behalf_of", "correlation_id"), 1
)
FieldValue = str | datetime | RebalanceOptions | None


@dataclass(frozen=True, slots=True)
class ModelChanges:
    """Differences between a version and its predecessor; ``positions`` by security.

    The portfolios are the first that were added and removed, the numbers count all.
    """

    fields: Mapping[str, tuple[FieldValue, FieldValue]]
    positions: Mapping[str, tuple[Target | None, Target | None]]
    portfolios_added: tuple[str, ...]
    portfolios_removed: tuple[str, ...]
    number_of_portfolios_added: int
    number_of_portfolios_removed: int


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """A version of a model; ``changes`` is None for the first stored version.

    ``model`` is the whole model, None in a list.
    """

    model_id: str
    version: int
    name: str
    at: datetime
    author: Author
    changes: ModelChanges | None
    model: Model | None = None


class ModelHistory:
    """The stored versions of the models of one database, also of deleted models."""

    def __init__(self, database: AsyncDatabase[Document]) -> None:
        self._models = database[MODELS]
        self._versions = database[COLLECTION]

    @translate_failures
    async def read_page(
        self, model_id: str, offset: int, limit: int
    ) -> tuple[tuple[ModelVersion, ...], int]:
        """Return a page of the versions of a model, the newest first, and their number."""
        key = {"model_id": require_object_id("model_id", model_id)}
        total = await self._versions.count_documents(key)
        if total == 0:
            present = await self._read_present(model_id)
            return (_decode_version(present),) if offset == 0 else (), 1
        newest = [("_id", -1)]
        cursor = self._versions.find(key, HEADING, sort=newest, skip=offset, limit=limit)
        return tuple([_decode_version(document) async for document in cursor]), total

    @translate_failures
    async def read(self, model_id: str, version: int) -> ModelVersion:
        """Return one version of a model, with the whole model."""
        key = require_object_id("model_id", model_id)
        document = await self._versions.find_one({"_id": build_version_id(key, version)})
        if document is None:
            document = await self._read_present(model_id)
            if document["version"] != version:
                raise NotFoundError(f"version {version} of model", model_id)
        else:
            document["portfolios"] = await self._read_portfolios(document)
        return _decode_version(document, decode_model(document | {"_id": key}))

    async def _read_portfolios(self, version: Document) -> list[str]:
        """Return the portfolios of a version: the last full list with the changes since.

        At most ``FULL_EVERY`` versions are read, because every ``FULL_EVERY``-th is full.
        """
        if "portfolios" in version:
            return version["portfolios"]
        first = build_version_id(version["model_id"], 0)
        earlier = {"_id": {"$gt": first, "$lt": version["_id"]}}
        fields = {"portfolios": 1, "portfolio_changes": 1}
        deltas = [version["portfolio_changes"]]
        async for version in self._versions.find(earlier, fields, sort=[("_id", -1)]):
            if "portfolios" in version:
                portfolios: list[str] = version["portfolios"]
                for delta in reversed(deltas):
                    portfolios = apply_portfolio_changes(portfolios, delta)
                return portfolios
            deltas.append(version["portfolio_changes"])
        raise AssertionError(version["_id"])

    async def _read_present(self, model_id: str) -> Document:
        """Return a model that an earlier release stored, as its only version."""
        model = await self._models.find_one({"_id": require_object_id("model_id", model_id)})
        if model is None:
            raise NotFoundError("model", model_id)
        return model | {"model_id": model["_id"], "at": model["updated_at"]}


def _decode_version(document: Document, model: Model | None = None) -> ModelVersion:
    author = UNKNOWN_AUTHOR
    if "principal" in document:
        author = Author(document["principal"], None, document["correlation_id"])
    changes = document.get("changes")
    return ModelVersion(
        model_id=str(document["model_id"]),
        version=document["version"],
        name=document["name"],
        at=document["at"],
        author=author,
        changes=None if changes is None else _decode_changes(changes),
        model=model,
    )


def _decode_changes(document: Document) -> ModelChanges:
    return ModelChanges(
        fields={
            change["field"]: (
                _decode_field_value(change["before"]),
                _decode_field_value(change["after"]),
            )
            for change in document["fields"]
        },
        positions={
            change["security_id"]: (
                _decode_target(change["before"]),
                _decode_target(change["after"]),
            )
            for change in document["positions"]
        },
        portfolios_added=tuple(document["portfolios_added"]),
        portfolios_removed=tuple(document["portfolios_removed"]),
        number_of_portfolios_added=document["number_of_portfolios_added"],
        number_of_portfolios_removed=document["number_of_portfolios_removed"],
    )


def _decode_field_value(value: Document | str | datetime | None) -> FieldValue:
    return decode_options(value) if isinstance(value, dict) else value


def _decode_target(position: Document | None) -> Target | None:
    return None if position is None else next(iter(decode_targets([position])))
