"""Rebalances whose replica dies before it answers: the stored outcomes, or a new attempt."""

from dataclasses import dataclass
from typing import Any

import pytest

from optimization import NO_OVERRIDES
from serve_app.ports.errors import ReplicaLostError
from serve_app.ports.rebalances import Outcomes, RebalanceModel, RebalancePortfolio, RemoteElements
from serve_app.rebalances.exactly_once import (
    MAX_ATTEMPTS,
    rebalance_model,
    rebalance_portfolio,
)
from storage.idempotency_store import IdempotencyClaim

CLAIM = IdempotencyClaim("monday", "me")


class Dying:
    """Optimizer that dies in its first calls, before or after it stores the outcomes."""

    def __init__(self, deaths: int, *, stores: bool) -> None:
        self.deaths, self.stores = deaths, stores
        self.commands = list[Any]()
        self.stored = dict[str, Any]()
        self.is_asked_in_vain = False

    async def rebalance_model(self, command: RebalanceModel) -> Any:
        self.commands.append(command)
        made = (command.rebalance_id, ("P", "Q"))
        return self._answer(command.rebalance_id, made, made)

    async def rebalance_portfolio(self, command: RebalancePortfolio) -> Any:
        self.commands.append(command)
        run = command.rebalance_id
        return self._answer(run, (run, ("P",)), (run, "P"))

    def _answer(self, rebalance_id: str, made: Any, answer: Any) -> Any:
        if len(self.commands) > self.deaths:
            return answer
        if self.stores:
            self.stored[rebalance_id] = made
        raise ReplicaLostError("Optimizer")

    async def read_completed(self, rebalance_id: str) -> Outcomes | None:
        if self.is_asked_in_vain:
            raise ReplicaLostError("Optimizer")
        return self.stored.get(rebalance_id)


async def model_of(dying: Any) -> Any:
    return await rebalance_model(dying, "M", NO_OVERRIDES, CLAIM)


async def portfolio_of(dying: Any) -> Any:
    return await rebalance_portfolio(dying, "P", None, NO_OVERRIDES, CLAIM)


both = pytest.mark.parametrize(
    ("rebalance", "outcome"), [(model_of, ("P", "Q")), (portfolio_of, "P")]
)


@both
async def test_what_a_lost_replica_stored_is_the_answer(rebalance: Any, outcome: Any):
    dying = Dying(1, stores=True)

    run, found = await rebalance(dying)

    assert (run, found) == (dying.commands[0].rebalance_id, outcome)
    assert len(dying.commands) == 1


@both
async def test_what_nobody_stored_is_done_anew_under_another_id(rebalance: Any, outcome: Any):
    dying = Dying(MAX_ATTEMPTS - 1, stores=False)

    run, found = await rebalance(dying)

    assert (run, found) == (dying.commands[-1].rebalance_id, outcome)
    assert len({command.rebalance_id for command in dying.commands}) == MAX_ATTEMPTS
    assert {command.claim for command in dying.commands} == {CLAIM}


@both
async def test_a_rebalance_is_given_up_after_its_last_attempt(rebalance: Any, outcome: Any):
    dying = Dying(MAX_ATTEMPTS, stores=False)

    with pytest.raises(ReplicaLostError, match="Optimizer"):
        await rebalance(dying)

    assert len(dying.commands) == MAX_ATTEMPTS


@both
async def test_nothing_is_done_anew_while_nobody_knows_what_is_stored(rebalance: Any, outcome: Any):
    dying = Dying(MAX_ATTEMPTS, stores=True)
    dying.is_asked_in_vain = True

    with pytest.raises(ReplicaLostError):
        await rebalance(dying)

    assert len(dying.commands) == 1


@dataclass
class Text:
    """RemoteText; lost if it is None."""

    text: bytes | None

    async def read(self) -> memoryview:
        if self.text is None:
            raise ReplicaLostError("Optimizer")
        return memoryview(self.text)


class Writing(Dying):
    """Optimizer that stores outcomes and answers with texts."""

    def __init__(self, *texts: bytes | None) -> None:
        super().__init__(0, stores=True)
        self.texts = texts

    async def rebalance_model(self, command: RebalanceModel) -> Any:
        self.stored[command.rebalance_id] = await super().rebalance_model(command)
        return command.rebalance_id, RemoteElements([Text(text) for text in self.texts])


async def test_texts_of_outcomes_are_read_before_the_answer_begins():
    run, found = await model_of(Writing(b"P", b"Q"))

    assert run
    assert list(map(bytes, found.parts)) == [b"P", b"Q"]


async def test_outcomes_are_read_in_the_store_if_a_text_of_them_is_lost():
    writing = Writing(b"P", None)

    run, found = await model_of(writing)

    assert (run, found) == (writing.commands[0].rebalance_id, ("P", "Q"))
    assert len(writing.commands) == 1
