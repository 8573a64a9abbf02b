"""Pre-trade rules in the database."""

from dataclasses import replace
from decimal import Decimal

import pytest
from bson import ObjectId
from pymongo.asynchronous.database import AsyncDatabase

from optimization.errors import RuleError
from storage.mongo.connection import Document
from storage.rules.rule import MAX_RULES, Rule, RuleKind, Severity, encode_rule
from storage.rules.rule_store import COLLECTION, RuleStore

pytestmark = pytest.mark.mongo

SMALL_TRADES = Rule("small trades", RuleKind.TRADE_MOST, Severity.BLOCK, amount=Decimal(1_000))


async def test_every_stored_rule_is_listed_also_beyond_the_most(
    database: AsyncDatabase[Document],
) -> None:
    rules = [
        replace(SMALL_TRADES, name=f"rule {n:02}", rule_id=str(ObjectId()))
        for n in range(MAX_RULES + 1)
    ]
    # The documents that simultaneous additions may leave, because each counts before it inserts.
    await database[COLLECTION].insert_many([encode_rule(rule) for rule in rules])

    store = RuleStore(database)

    assert await store.list_all() == tuple(rules)
    with pytest.raises(RuleError):
        await store.add(SMALL_TRADES)
