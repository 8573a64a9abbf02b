"""Records of changes: each change leaves one, and only a change does."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest
from pymongo.asynchronous.database import AsyncDatabase

from storage.audit.trail import Action, AuditTrail
from storage.audit_log import AuditLog
from storage.models.model_store import ModelStore
from storage.mongo.connection import Document, read_clock
from storage.orders.submission_store import OrderSubmissionStore
from storage.rebalances.rebalance import RebalanceStatus
from storage.rebalances.rebalance_store import RebalanceStore
from storage.rebalances.removal import RebalanceRemoval
from storage.runs.run import RunStatus, Totals
from storage.runs.run_store import RunStore
from tests.support.audit import RUN_ID, anna, new_run, seal_and_list, steps
from tests.support.samples import NOON, make_model, make_outcomes, make_rebalance

pytestmark = pytest.mark.mongo
Database = AsyncDatabase[Document]


async def test_changes_of_a_model_are_recorded_with_author_and_differences(
    models: ModelStore, log: AuditLog, database: Database
) -> None:
    begun = await read_clock(database)
    first = await models.add(make_model())
    second = await models.replace(replace(first, name="Income"))
    model_id = str(first.model_id)
    await models.delete(model_id, 2)

    created, edited, deleted = entries = await seal_and_list(log)

    assert steps(entries) == [
        ("model.create", model_id, 1),
        ("model.edit", model_id, 2),
        ("model.delete", model_id, 2),
    ]
    for entry in entries:
        assert (entry["principal"], entry["on_behalf_of"]) == ("anna", "desk")
        assert (entry["correlation_id"], entry["outcome"]) == ("request-1", "DONE")
        assert entry["object_type"] == "model"
        assert f"{begun:%Y-%m-%dT%H:%M}" <= entry["at"] <= entry["sealed_at"]
    assert created["before_hash"] is None
    assert created["after_hash"] == edited["before_hash"]
    assert edited["after_hash"] == deleted["before_hash"] != created["after_hash"]
    change = {"field": "name", "before": "Growth", "after": second.name}
    assert edited["diff"]["fields"] == [change]


async def test_a_stored_rebalance_and_its_deletion_are_recorded(
    rebalances: RebalanceStore, log: AuditLog, database: Database
) -> None:
    whole = replace(make_rebalance(3), status=RebalanceStatus.COMPLETED, finished_at=NOON)
    await rebalances.store(whole, make_outcomes(whole))
    await log.seal()
    await rebalances.delete(whole.rebalance_id, 1)

    stored, deleted = await seal_and_list(log)

    assert (stored["action"], stored["diff"]["model_version"]) == ("rebalance.store", 4)
    assert stored["diff"]["number_of_portfolios"] == 3
    assert (deleted["action"], deleted["object_id"]) == ("rebalance.delete", whole.rebalance_id)
    assert await database["rebalances"].count_documents({}) == 0


async def test_a_rebalance_that_is_stored_and_deleted_before_the_sealing_leaves_both_entries(
    rebalances: RebalanceStore, log: AuditLog
) -> None:
    whole = replace(make_rebalance(1), status=RebalanceStatus.COMPLETED, finished_at=NOON)
    await rebalances.store(whole, make_outcomes(whole))
    await rebalances.delete(whole.rebalance_id, 1)

    assert [entry["action"] for entry in await seal_and_list(log)] == [
        "rebalance.store",
        "rebalance.delete",
    ]


async def test_a_run_is_recorded_from_its_begin_to_its_removal(
    runs: RunStore, rebalances: RebalanceStore, log: AuditLog
) -> None:
    await runs.add(new_run(), "token", 60)
    part = replace(make_rebalance(1), run_id=RUN_ID)
    await rebalances.open(part)
    await runs.cancel(RUN_ID)
    await runs.cancel(RUN_ID)
    await rebalances.finish(part.rebalance_id, RebalanceStatus.STOPPED, NOON)
    await runs.end(RUN_ID, "token", RunStatus.CANCELLED, Totals(), NOON)
    await runs.forget(RUN_ID)

    entries = await seal_and_list(log)

    assert sorted(steps(entries)) == sorted(
        [
            ("run.begin", RUN_ID, None),
            ("run.cancel", RUN_ID, None),
            ("rebalance.store", part.rebalance_id, 1),
            ("run.end", RUN_ID, None),
            ("run.delete", RUN_ID, None),
        ]
    )
    by_action = {entry["action"]: entry for entry in entries}
    assert by_action["run.begin"]["diff"]["model_ids"] == ["7" * 24]
    assert by_action["run.end"]["diff"]["status"] == "CANCELLED"
    assert by_action["rebalance.store"]["diff"]["status"] == "STOPPED"


async def test_a_discarded_run_leaves_entries_of_the_parts_that_had_ended(
    runs: RunStore, rebalances: RebalanceStore, log: AuditLog, database: Database
) -> None:
    await runs.add(new_run(), "token", 60)
    ended, begun = (replace(make_rebalance(1), run_id=RUN_ID) for _ in range(2))
    for part in (ended, begun):
        await rebalances.open(part)
    await rebalances.finish(ended.rebalance_id, RebalanceStatus.COMPLETED, NOON)
    await runs.discard(RUN_ID)
    await rebalances.forget_parts(RUN_ID)

    entries = await seal_and_list(log)

    assert {entry["action"] for entry in entries} == {
        "run.begin",
        "run.discard",
        "rebalance.store",
        "rebalance.delete",
    }
    assert begun.rebalance_id not in {entry["object_id"] for entry in entries}
    assert await database["rebalances"].count_documents({}) == 0


async def test_orders_are_recorded_before_they_are_sent_and_outlive_their_hand_over(
    log: AuditLog, database: Database
) -> None:
    submissions = OrderSubmissionStore(database, find_author=anna)
    await submissions.begin(RUN_ID, "me")
    sent = {"orders": 2, "timestamp": NOON}
    await submissions.announce(RUN_ID, "me", Action.ORDERS_SENT, sent)
    await submissions.forget(RUN_ID, "me")

    (entry,) = await seal_and_list(log)

    assert (entry["action"], entry["object_id"]) == ("orders.send", RUN_ID)
    assert entry["diff"] == {"orders": 2, "timestamp": "2026-03-02T12:00:00.123Z"}


async def test_a_refused_change_leaves_no_entry(models: ModelStore, log: AuditLog) -> None:
    added = await models.add(make_model())
    for wrong in (make_model(), replace(added, version=3)):
        with pytest.raises(Exception, match=r"Growth|version"):
            await (models.add(wrong) if wrong.model_id is None else models.replace(wrong))

    assert len(await seal_and_list(log)) == 1


async def test_a_change_whose_record_cannot_be_stored_does_not_happen(
    models: ModelStore, database: Database
) -> None:
    await database.command("collMod", "audit_pending", validator={"never": True})

    with pytest.raises(Exception, match="validation"):
        await models.add(make_model())

    assert await models.read_page() == ((), 0)


class DyingRemoval(RebalanceRemoval):
    """Removal whose process dies before the outcomes are deleted."""

    async def delete_outcomes(self, rebalance_id: str) -> None:
        raise asyncio.CancelledError(rebalance_id)


async def test_a_removal_that_broke_off_has_its_entry_and_is_finished_later(
    rebalances: RebalanceStore, log: AuditLog, database: Database
) -> None:
    whole = replace(make_rebalance(2), status=RebalanceStatus.COMPLETED, finished_at=NOON)
    await rebalances.store(whole, make_outcomes(whole))
    dying = DyingRemoval(database["rebalances"], AuditTrail(database))
    with pytest.raises(asyncio.CancelledError):
        await RebalanceStore(database, removal=dying).delete(whole.rebalance_id, 1)
    entries = await seal_and_list(log)
    assert [entry["action"] for entry in entries] == ["rebalance.store", "rebalance.delete"]

    await rebalances.finish_removals(await read_clock(database) + timedelta(seconds=1))

    for name in ("rebalances", "outcomes"):
        assert await database[name].count_documents({}) == 0
    assert len(await seal_and_list(log)) == 2
