"""RuleStore: the pre-trade rules of one database; every change is one entry of the audit log."""

from dataclasses import replace
from typing import Final, NoReturn

from bson import ObjectId
from pymongo import ReturnDocument
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import DuplicateKeyError

from optimization.errors import RuleError
from storage.audit.author import FindAuthor, find_no_author
from storage.audit.trail import (
    Action,
    AuditTrail,
    build_insert_fields,
    build_update_fields,
    quote_values,
)
from storage.errors import NameTakenError, NotFoundError, StaleVersionError
from storage.mongo.connection import Document, require_object_id, translate_failures
from storage.mongo.decimal_codec import to_storable
from storage.rules.rule import MAX_RULES, Rule, decode_rule, encode_rule, encode_rule_fields

COLLECTION: Final = "rules"
ENTITY: Final = "rule"
OPTIONAL: Final = ("models", "portfolios", "security_ids", "side", "part", "amount")


class RuleStore:
    """The rules of one database, at most MAX_RULES."""

    def __init__(
        self, database: AsyncDatabase[Document], find_author: FindAuthor = find_no_author
    ) -> None:
        self._rules = database[COLLECTION]
        self._trail = AuditTrail(database, find_author)

    @translate_failures
    async def add(self, rule: Rule) -> Rule:
        """Store a new rule; NameTakenError, or RuleError beyond MAX_RULES."""
        if await self._rules.count_documents({}) >= MAX_RULES:
            raise RuleError(("name",), rule.name, f"there are at most {MAX_RULES} rules")
        new = replace(rule, rule_id=str(ObjectId()), version=1)
        diff = encode_rule_fields(new)
        record = self._trail.record(Action.RULE_CREATED, new.rule_id, 1, diff=diff)
        document = to_storable(encode_rule(new)) | build_insert_fields(record)
        try:
            await self._rules.insert_one(document)
        except DuplicateKeyError:
            raise NameTakenError(rule.name) from None
        return new

    @translate_failures
    async def read(self, rule_id: str) -> Rule:
        """Return the rule with this id."""
        document = await self._rules.find_one({"_id": require_object_id("rule_id", rule_id)})
        if document is None:
            raise NotFoundError(ENTITY, rule_id)
        return decode_rule(document)

    @translate_failures
    async def list_all(self) -> tuple[Rule, ...]:
        """Return all rules by name."""
        # The query has no limit, because simultaneous additions may exceed MAX_RULES and no plan
        # may escape a stored rule.
        cursor = self._rules.find({}, sort=[("name", 1)], batch_size=MAX_RULES)
        return tuple([decode_rule(document) async for document in cursor])

    @translate_failures
    async def replace(self, rule: Rule) -> Rule:
        """Replace the rule of this version; StaleVersionError if another is stored."""
        after = replace(rule, version=rule.version + 1)
        record = self._trail.record(
            Action.RULE_EDITED, rule.rule_id, after.version, diff=encode_rule_fields(after)
        )
        fields = {**to_storable(encode_rule_fields(after)), "version": after.version}
        unset = [name for name in OPTIONAL if name not in fields]
        update = [{"$unset": unset}, {"$set": quote_values(fields) | build_update_fields(record)}]
        try:
            document = await self._rules.find_one_and_update(
                self._build_key(rule.rule_id, rule.version),
                update if unset else update[1:],
                return_document=ReturnDocument.AFTER,
            )
        except DuplicateKeyError:
            raise NameTakenError(rule.name) from None
        if document is None:
            await self._raise_why_unmatched(rule.rule_id, rule.version)
        return decode_rule(document)

    @translate_failures
    async def delete(self, rule_id: str, version: int) -> None:
        """Remove the rule of this version; rebalances keep the rules of their checks."""
        record = self._trail.record(Action.RULE_DELETED, rule_id, version)
        if not await self._trail.remove(self._rules, self._build_key(rule_id, version), record):
            await self._raise_why_unmatched(rule_id, version)

    async def _raise_why_unmatched(self, rule_id: str, version: int) -> NoReturn:
        rule = await self.read(rule_id)
        raise StaleVersionError(ENTITY, rule_id, version, rule.version)

    @staticmethod
    def _build_key(rule_id: str, version: int) -> Document:
        return {"_id": require_object_id("rule_id", rule_id), "version": version}
