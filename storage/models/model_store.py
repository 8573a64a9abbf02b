"""Models in MongoDB: one document per model, one atomic operation per change."""

import re
from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final, NoReturn

from bson import ObjectId
from pymongo import ReturnDocument, WriteConcern
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import DuplicateKeyError

from optimization import GENERAL, GLOBECO, Model, ModelRules, replace_invisible
from storage.audit.author import FindAuthor, find_no_author
from storage.errors import NameTakenError, NotFoundError, StaleVersionError
from storage.idempotency_store import ClaimTransactions, IdempotencyClaim
from storage.models.documents import RULES, decode_model, encode_model_contents
from storage.models.newest import (
    NEWEST_MODEL,
    build_ids_filter,
    group_newest,
    may_share_portfolios,
)
from storage.models.versions import ModelVersions
from storage.mongo.connection import (
    Document,
    read_clock,
    require_object_id,
    run_transaction,
    translate_failures,
)
from storage.mongo.decimal_codec import to_milliseconds
from storage.mongo.sorting import ASCENDING, Sort, build_sort_order

COLLECTION = "models"
Versions = frozenset[int] | None
"""Versions of a model that may be changed; None for any."""
SORT_FIELDS: Final = {
    "model_id": "_id",
    "name": "name",
    "last_rebalance_date": "last_rebalance_date",
}
BUT_ITS_PORTFOLIOS: Final = dict.fromkeys(
    ("name", "positions", "version", "last_rebalance_date", "options"), 1
)
VERSION: Final = {"version": 1, "last_rebalance_date": 1}
MAX_REMEMBERED_MODELS: Final = 32  # because a model of 5,000 positions takes 2 MB
MAX_NAMED_MODELS: Final = 5  # model ids in one sentence
OLDEST_FIRST: Final = (("model_id", ASCENDING),)


def require_version(model: Model, versions: Versions) -> None:
    """Raise StaleVersionError unless this version of the model may be changed."""
    if versions is not None and model.version not in versions:
        expected = max(versions, default=0)
        raise StaleVersionError("model", str(model.model_id), expected, model.version)


class ModelStore:
    """The stored models of one database; every added or changed model keeps ``rules``.

    Every change stores the version that it makes, with the author that ``find_author`` returns.
    """

    def __init__(
        self,
        database: AsyncDatabase[Document],
        rules: ModelRules = GLOBECO,
        find_author: FindAuthor = find_no_author,
    ) -> None:
        self._models = database[COLLECTION]
        self._versions = ModelVersions(database, find_author)
        # Models by id, with one portfolio each. Each use reads only the version again, because
        # every change of a model changes its version.
        self._cache: dict[ObjectId, Model] = {}
        self._claims = ClaimTransactions(database)
        self._rules = rules

    @translate_failures
    async def add(self, model: Model, claim: IdempotencyClaim | None = None) -> Model:
        """Store a new model, and return the model with its id and version 1.

        The same transaction completes the claim. Raises IdempotencyInProgressError if the claim was
        lost.
        """
        self._rules.check(model)
        now = to_milliseconds(datetime.now(UTC))
        contents = {**encode_model_contents(model), "version": 1}
        document = {"_id": ObjectId(), **contents, "created_at": now, "updated_at": now}
        at = await read_clock(self._models.database)

        async def insert(session: AsyncClientSession) -> None:
            await self._models.insert_one(document, session=session)
            await self._versions.add_first(session, at, document)
            if claim is not None:
                await self._claims.complete(claim, str(document["_id"]), session)

        try:
            await run_transaction(self._models.database, insert)
        except DuplicateKeyError as error:
            raise NameTakenError(model.name) from error
        return replace(
            model,
            model_id=str(document["_id"]),
            version=1,
            last_rebalance_date=document.get("last_rebalance_date"),
        )

    @translate_failures
    async def find_forbidden(self) -> str | None:
        """Return the name of a stored model that the rules in force would refuse, if any."""
        if self._rules is GENERAL:
            return None
        document = await self._models.find_one({RULES: GENERAL.name}, {"name": 1})
        return None if document is None else replace_invisible(document["name"])

    @translate_failures
    async def read(self, model_id: str) -> Model:
        """Return the model with this id."""
        document = await self._models.find_one({"_id": require_object_id("model_id", model_id)})
        if document is None:
            raise NotFoundError("model", model_id)
        return decode_model(document)

    @translate_failures
    async def read_page(
        self,
        offset: int = 0,
        limit: int | None = None,
        sort: Sort = (),
        model_ids: Collection[str] | None = None,
        name: str = "",
    ) -> tuple[tuple[Model, ...], int]:
        """Return a page of models, by default the oldest first, and the number of models.

        ``model_ids`` limits the models, None to all. ``name`` is a part of their names, in upper or
        lower case.
        """
        order = build_sort_order(sort, SORT_FIELDS, OLDEST_FIRST)
        ids = None if model_ids is None else [ObjectId(model_id) for model_id in model_ids]
        only: Document = {} if ids is None else {"_id": {"$in": ids}}
        if name:
            only["name"] = {"$regex": re.escape(name), "$options": "i"}
        total = await self._models.count_documents(only, hint="name" if name else "_id_")
        if limit == 0:  # because MongoDB takes 0 for no limit
            return (), total
        cursor = self._models.find(only, sort=order, skip=offset, limit=limit or 0)
        return tuple([decode_model(document) async for document in cursor]), total

    @translate_failures
    async def replace(self, model: Model) -> Model:
        """Store a changed model if ``model.version`` is still the stored version.

        The returned model has the next version. A ``last_rebalance_date`` or ``options`` of None
        keeps the stored value.
        """
        self._rules.check(model)
        model_id = str(model.model_id)
        contents = encode_model_contents(model)
        change: Document = {
            "$set": contents | {"updated_at": datetime.now(UTC)},
            "$inc": {"version": 1},
        }
        if RULES not in contents:
            change["$unset"] = {RULES: ""}
        try:
            return decode_model(await self._change(model_id, model.version, change))
        except DuplicateKeyError as error:
            raise NameTakenError(model.name) from error

    @translate_failures
    async def delete(self, model_id: str, version: int) -> None:
        """Remove the model if ``version`` is still the stored version; its rebalances stay."""
        key = {"_id": require_object_id("model_id", model_id), "version": version}

        at = await read_clock(self._models.database)

        async def remove(session: AsyncClientSession) -> None:
            model = await self._models.find_one_and_delete(key, session=session)
            if model is None:
                await self._raise_why_unmatched(model_id, version)
            await self._versions.end(session, at, model)

        await run_transaction(self._models.database, remove)

    async def _change(self, model_id: str, version: int, change: Document) -> Document:
        """Change the document of a model of this version, and store the version that it makes."""
        key = {"_id": require_object_id("model_id", model_id), "version": version}
        at = await read_clock(self._models.database)
        results: list[Document] = []

        async def write(session: AsyncClientSession) -> None:
            # The document is read first, because the change does not return both versions of it.
            before = await self._models.find_one(key, session=session)
            if before is None:
                await self._raise_why_unmatched(model_id, version)
            after = await self._models.find_one_and_update(
                key, change, return_document=ReturnDocument.AFTER, session=session
            )
            assert after is not None
            await self._versions.add_next(session, at, before, after)
            results[:] = [after]

        await run_transaction(self._models.database, write)
        return results[0]

    @translate_failures
    async def find_followed(self, portfolio_id: str, model_id: str | None = None) -> Model:
        """Return the model with this id that the portfolio follows; without an id, the newest.

        The returned model holds this portfolio alone, because the model may have many others.
        """
        query: Document = {"portfolios": portfolio_id}
        if model_id is not None:
            query["_id"] = require_object_id("model_id", model_id)
        newest = list(NEWEST_MODEL)
        document = await self._models.find_one(query, VERSION, sort=newest)
        model = None if document is None else self._cache.get(document["_id"])
        if document is None or model is None or model.version != document["version"]:
            own = {"portfolios": {"$elemMatch": {"$eq": portfolio_id}}}
            document = await self._models.find_one(query, BUT_ITS_PORTFOLIOS | own, sort=newest)
            if document is None:
                await self._raise_why_not_followed(portfolio_id, model_id)
            model = self._remember(document)
        date = document.get("last_rebalance_date")
        return replace(model, portfolio_ids=(portfolio_id,), last_rebalance_date=date)

    @translate_failures
    async def list_newest_first(self, model_ids: Sequence[str] = ()) -> tuple[str, ...]:
        """Return the ids of these models, or of all models, the newest first.

        Raises NotFoundError for a model that is not stored.
        """
        order = list(NEWEST_MODEL)
        cursor = self._models.find(build_ids_filter(model_ids), {"_id": 1}, sort=order)
        ids = tuple([str(document["_id"]) async for document in cursor])
        missing = set(model_ids).difference(ids)
        if missing:
            raise NotFoundError("model", min(missing))
        return ids

    @translate_failures
    async def find_newest(
        self, portfolio_ids: Sequence[str], model_ids: Sequence[str] = ()
    ) -> dict[str, str]:
        """Return the newest model by portfolio; with ``model_ids`` only these models count.

        A portfolio that follows no such model is absent.
        """
        followers = {"portfolios": {"$in": list(portfolio_ids)}}
        return await group_newest(self._models, build_ids_filter(model_ids), followers, {})

    @translate_failures
    async def find_shared_portfolios(self, model_ids: Sequence[str] = ()) -> dict[str, str]:
        """Return the newest model by portfolio, of the portfolios that follow several models.

        With ``model_ids`` only these models count.
        """
        among = build_ids_filter(model_ids)
        if not await may_share_portfolios(self._models, among):
            return {}
        return await group_newest(self._models, among, {}, {"models": {"$gt": 1}})

    @translate_failures
    async def read_followers(
        self, model_id: str, offset: int, limit: int
    ) -> tuple[Model | None, int]:
        """Return the model with one page of its portfolios, and the number of its portfolios.

        The model is None beyond the last page.
        """
        pipeline: list[Document] = [
            {"$match": {"_id": require_object_id("model_id", model_id)}},
            {
                "$project": BUT_ITS_PORTFOLIOS
                | {
                    "portfolios": {"$slice": ["$portfolios", offset, limit]},
                    "total": {"$size": "$portfolios"},
                }
            },
        ]
        documents = await (await self._models.aggregate(pipeline)).to_list()
        if not documents:
            raise NotFoundError("model", model_id)
        (document,) = documents
        return decode_model(document) if document["portfolios"] else None, document["total"]

    @translate_failures
    async def record_rebalance_date(self, model_id: str, at: datetime) -> None:
        """Store the date of a rebalance unless a later date is stored; the version stays."""
        # The write does not wait for the journal, because the next rebalance sets the date again;
        # every read goes to the primary, which has the date at once.
        models = self._models.with_options(write_concern=WriteConcern(w=1))
        outcome = await models.update_one(
            {"_id": require_object_id("model_id", model_id)},
            {"$max": {"last_rebalance_date": at}},
        )
        if outcome.matched_count == 0:
            raise NotFoundError("model", model_id)

    def _remember(self, document: Document) -> Model:
        model = self._cache[document["_id"]] = decode_model(document)
        if len(self._cache) > MAX_REMEMBERED_MODELS:
            del self._cache[next(iter(self._cache))]
        return model

    async def _raise_why_not_followed(self, portfolio_id: str, model_id: str | None) -> NoReturn:
        key = None if model_id is None else {"_id": ObjectId(model_id)}
        if key is not None and await self._models.find_one(key, {"_id": 1}) is None:
            raise NotFoundError("model", str(model_id))
        raise make_not_followed_error(portfolio_id, [] if model_id is None else [model_id])

    async def _raise_why_unmatched(self, model_id: str, version: int) -> NoReturn:
        document = await self._models.find_one({"_id": ObjectId(model_id)}, {"version": 1})
        if document is None:
            raise NotFoundError("model", model_id)
        raise StaleVersionError("model", model_id, version, document["version"])


def make_not_followed_error(portfolio_id: str, model_ids: Sequence[str]) -> NotFoundError:
    """Make the error for a portfolio that follows none of these models, or no model at all.

    >>> print(make_not_followed_error("P1", ["M1"]), make_not_followed_error("P1", []), sep="; ")
    there is no portfolio P1 in model M1; there is no model followed by portfolio P1
    """
    if model_ids:
        models = "model" if len(model_ids) == 1 else "any of the models"
        return NotFoundError(
            f"portfolio {portfolio_id} in {models}", ", ".join(model_ids[:MAX_NAMED_MODELS])
        )
    return NotFoundError("model followed by portfolio", portfolio_id)
