import pytest
from pymongo.errors import OperationFailure

from storage.mongo.connection import connect, disconnect, ping

pytestmark = pytest.mark.mongo


async def test_every_command_is_told_with_its_outcome_and_its_seconds(mongodb_uri: str) -> None:
    told: list[tuple[str, str, float]] = []
    database = connect(mongodb_uri, "watched", observer=lambda *call: told.append(call))

    await ping(database)
    with pytest.raises(OperationFailure):
        await database.command("noSuchCommand")
    await disconnect(database)

    outcomes = {(command, outcome) for command, outcome, _ in told}
    assert {("find", "answered"), ("noSuchCommand", "failed")} <= outcomes
    assert all(0 < seconds < 10 for _, _, seconds in told)
