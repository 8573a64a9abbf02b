"""Faults on the way to the Python client: what it repeats, and how it resumes a stream."""

import json
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import asdict
from decimal import Decimal
from typing import Any

import httpx
import pytest

from serve_app.api.middleware.requests import HEADER as DEADLINE
from serve_app.api.middleware.requests import MAX_DEADLINE_S
from serve_app.client import (
    AsyncClient,
    ChunkDone,
    Client,
    Model,
    Position,
    ProblemError,
    Run,
    clients,
    streaming,
)
from serve_app.client.errors import ResponseTooLargeError
from serve_app.client.responses.outcomes import OutsideBand
from serve_app.client.responses.rebalances import PortfolioResult

MODEL = Model("6" * 24, "Growth", (), ("P" * 24,), None, 1)
TEXT = json.dumps(asdict(MODEL))
RUN = {
    "run_id": "7" * 24,
    "status": "RUNNING",
    "number_of_rebalances": 1,
    "portfolios": {"done": 0, "total": 500},
    "chunks": {"done": 0, "total": 2},
    "counts": {},
    "methods": {},
    "seconds": {"solve": 0.125},
    "portfolios_per_second": None,
    "remaining_seconds": None,
    "holdings": {"source": "summaries", "file": None},
    "rebalances": ["8" * 24],
    "errors": [],
    "error": None,
    "created_at": "2026-11-23T09:30:00.000Z",
    "started_at": None,
    "updated_at": None,
    "finished_at": None,
}

Answer = httpx.Response | Exception


class Line(httpx.BaseTransport):
    """Gives these answers, one after the other, and keeps what was asked."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = [*answers]
        self.asked: list[httpx.Request] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


class Pieces(httpx.SyncByteStream):
    """Bytes as a network delivers them."""

    def __init__(self, *pieces: bytes) -> None:
        self.pieces = pieces

    def __iter__(self) -> Iterator[bytes]:
        yield from self.pieces


class Breaking(Pieces):
    """Bytes, and then a connection that breaks."""

    def __iter__(self) -> Iterator[bytes]:
        yield from super().__iter__()
        raise httpx.ReadError("broken")


def unavailable(wait: str = "0", status: int = 503, kind: str = "overloaded") -> httpx.Response:
    problem = {"type": f"/problems/{kind}", "title": "No", "status": status, "detail": "Later."}
    headers = {"Retry-After": wait} if wait else {}
    return httpx.Response(status, json=problem, headers=headers)


def good() -> httpx.Response:
    return httpx.Response(200, text=TEXT)


PASSING: dict[str, Callable[[], Answer]] = {
    "no connection": lambda: httpx.ConnectError("refused"),
    "a broken connection": lambda: httpx.ReadError("reset"),
    "503 with Retry-After": unavailable,
    "the first is under way": lambda: unavailable(status=409, kind="request-in-progress"),
}


@pytest.mark.parametrize("trouble", PASSING)
def test_what_passes_is_tried_again_where_that_changes_nothing(trouble: str) -> None:
    line = Line(PASSING[trouble](), good(), PASSING[trouble](), good())
    with Client("http://test", transport=line) as client:
        assert client.read_model(MODEL.model_id) == MODEL
        assert client.add_model("Growth", [], MODEL.portfolios) == MODEL

    keys = [request.headers.get("Idempotency-Key") for request in line.asked]
    assert keys[:2] == [None, None]
    assert keys[2] == keys[3] != None  # noqa: E711 - one chain


@pytest.mark.parametrize("trouble", PASSING)
def test_a_change_without_a_key_is_sent_once(trouble: str) -> None:
    line = Line(PASSING[trouble](), good())
    with (
        Client("http://test", transport=line) as client,
        pytest.raises((ProblemError, httpx.TransportError)),
    ):
        client.replace_model(MODEL)

    assert len(line.asked) == 1


LASTING: dict[str, Callable[[], Answer]] = {
    "503 without Retry-After": lambda: unavailable(""),
    "503 for longer than one waits": lambda: unavailable("3600"),
    "another conflict": lambda: unavailable(status=409, kind="name-taken"),
    "no answer in time": lambda: httpx.ReadTimeout("slow"),
}


@pytest.mark.parametrize("trouble", LASTING)
def test_what_does_not_pass_is_told_at_once(trouble: str) -> None:
    line = Line(LASTING[trouble](), good())
    with (
        Client("http://test", transport=line) as client,
        pytest.raises((ProblemError, httpx.TransportError)),
    ):
        client.add_model("Growth", [], MODEL.portfolios)

    assert len(line.asked) == 1


def test_tries_end_with_their_budget() -> None:
    line = Line(*[httpx.ConnectError("refused")] * 100)
    with (
        Client("http://test", transport=line, retry_s=0.3) as client,
        pytest.raises(httpx.ConnectError),
    ):
        client.read_model(MODEL.model_id)

    assert 1 < len(line.asked) < 100


def test_an_answer_that_is_no_problem_is_one_all_the_same() -> None:
    line = Line(httpx.Response(502, html="<h1>Bad Gateway</h1>"))
    with Client("http://test", transport=line) as client, pytest.raises(ProblemError) as refusal:
        client.read_model(MODEL.model_id)

    assert (refusal.value.status, refusal.value.type) == (502, "about:blank")
    assert "Bad Gateway" in refusal.value.detail


def test_every_try_tells_the_service_for_how_long_it_waits_and_then_waits_a_little_longer() -> None:
    line = Line(unavailable(), good())
    with Client("http://test", transport=line, timeout_s=2.5) as client:
        client.read_model(MODEL.model_id)

    assert [request.headers[DEADLINE] for request in line.asked] == ["2.5", "2.5"]
    waits = line.asked[0].extensions["timeout"]
    assert waits.pop("connect") == 2.5
    assert set(waits.values()) == {2.5 + clients.GRACE_S}


def test_the_service_knows_the_header_and_takes_the_longest_wait_that_is_sent() -> None:
    assert (clients.DEADLINE, clients.MAX_DEADLINE_S) == (DEADLINE, MAX_DEADLINE_S)


def test_a_wait_that_the_service_does_not_take_is_not_told() -> None:
    line = Line(good())
    with Client("http://test", transport=line, timeout_s=MAX_DEADLINE_S + 1) as client:
        client.read_model(MODEL.model_id)

    assert DEADLINE not in line.asked[0].headers


def test_a_deadline_of_the_callers_own_goes_before_that_of_the_client() -> None:
    line = Line(good())
    with Client("http://test", transport=line, headers={DEADLINE.lower(): "9"}) as client:
        client.read_model(MODEL.model_id)

    assert line.asked[0].headers.get_list(DEADLINE) == ["9"]


def test_an_answer_that_was_not_ready_in_time_is_not_asked_for_again() -> None:
    line = Line(unavailable(wait="", status=504, kind="deadline-exceeded"), good())
    with Client("http://test", transport=line) as client, pytest.raises(ProblemError) as late:
        client.rebalance_model(MODEL.model_id)

    assert (late.value.type, len(line.asked)) == ("/problems/deadline-exceeded", 1)


ALIVE = b": still here\n\n"


def chunk(number: int) -> bytes:
    done = {
        "number": number,
        "rebalance_id": "8" * 24,
        "first": 250 * (number - 1),
        "portfolios": 250,
        "counts": {"REBALANCED": 249, "FAILED": 1},
        "methods": {},
        "error": "a\u2028line",
        "done_at": "2026-11-23T09:30:00.000Z",
    }
    text = json.dumps(done, ensure_ascii=False)
    return f"event: chunk\nid: {number}\ndata: {text}\n\n".encode()


def state(kind: str, status: str) -> bytes:
    return f"event: {kind}\ndata: {json.dumps({**RUN, 'status': status})}\n\n".encode()


def event_stream(content: bytes | httpx.SyncByteStream | httpx.AsyncByteStream) -> httpx.Response:
    headers = {"Content-Type": "text/event-stream"}
    if isinstance(content, bytes):
        return httpx.Response(200, content=content, headers=headers)
    return httpx.Response(200, stream=content, headers=headers)


def test_a_run_is_followed_to_its_end_over_a_broken_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming, "RESUME_AFTER_S", 0)
    first, second = chunk(1), chunk(2)
    beginning = Breaking(state("progress", "RUNNING"), first[:40], first[40:], ALIVE, second[:50])
    rest = ALIVE + second + ALIVE + b"event: later\ndata: 1\n\n" + state("end", "COMPLETED")
    line = Line(event_stream(beginning), event_stream(b""), event_stream(rest))
    with Client("http://test", transport=line) as client:
        events = list(client.follow_run(str(RUN["run_id"])))

    numbers = [event.number for event in events if isinstance(event, ChunkDone)]
    states = [event.status for event in events if isinstance(event, Run)]
    assert (numbers, states) == ([1, 2], ["RUNNING", "COMPLETED"])
    assert [request.headers["Last-Event-ID"] for request in line.asked] == ["0", "1", "1"]
    assert isinstance(events[-1], Run)
    assert events[-1].is_over


def test_a_run_that_breaks_off_again_and_again_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming, "RESUME_AFTER_S", 0)
    line = Line(*[event_stream(state("progress", "RUNNING")) for _ in range(50)])
    with (
        Client("http://test", transport=line) as client,
        pytest.raises(httpx.RemoteProtocolError, match="again and again"),
    ):
        list(client.follow_run(str(RUN["run_id"])))

    assert len(line.asked) < 50


class Endless(httpx.SyncByteStream, httpx.AsyncByteStream):
    """An event that does not end."""

    def __iter__(self) -> Iterator[bytes]:
        yield state("progress", "RUNNING")
        yield b"event: progress\ndata: "
        while True:
            yield b"0" * 1000

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self:
            yield piece


def test_an_event_that_does_not_end_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clients, "MAX_VALUE_BYTES", 10_000)
    line = Line(event_stream(Endless()))
    with Client("http://test", transport=line) as client:
        followed = client.follow_run(str(RUN["run_id"]))
        assert isinstance(next(followed), Run)
        with pytest.raises(ResponseTooLargeError, match="10,000 bytes"):
            next(followed)

    assert len(line.asked) == 1


async def test_an_asynchronous_client_does_not_keep_it_either(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(clients, "MAX_VALUE_BYTES", 10_000)
    transport = httpx.MockTransport(lambda _: event_stream(Endless()))
    async with AsyncClient("http://test", transport=transport) as client:
        followed = client.follow_run(str(RUN["run_id"]))
        assert isinstance(await anext(followed), Run)
        with pytest.raises(ResponseTooLargeError, match="10,000 bytes"):
            await anext(followed)


def test_events_longer_together_than_one_may_be_are_all_received(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(clients, "MAX_VALUE_BYTES", 1000)
    numbers = range(1, 21)
    pieces = [*map(chunk, numbers), state("end", "COMPLETED")]
    line = Line(event_stream(Pieces(*pieces)))
    with Client("http://test", transport=line) as client:
        *chunks, _ = client.follow_run(str(RUN["run_id"]))

    assert [each.number for each in chunks if isinstance(each, ChunkDone)] == [*numbers]


def test_an_answer_beyond_the_bound_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    text = TEXT.encode()
    monkeypatch.setattr(clients, "MAX_ANSWER_BYTES", len(text))
    line = Line(*(httpx.Response(200, stream=Pieces(*each)) for each in ([text], [text, b" "])))
    with Client("http://test", transport=line) as client:
        assert client.read_model(MODEL.model_id) == MODEL
        with pytest.raises(ResponseTooLargeError):
            client.read_model(MODEL.model_id)


def test_a_list_whose_last_line_has_no_end_is_an_error_and_not_shorter() -> None:
    line = Line(httpx.Response(200, content=b'{"rebalance_id": '))
    with (
        Client("http://test", transport=line) as client,
        pytest.raises(httpx.RemoteProtocolError, match="middle of a line"),
    ):
        list(client.stream_outcomes("7" * 24))


def test_outcomes_of_a_run_are_exact_whatever_pieces_they_come_in() -> None:
    price = "0.12345678901234567890123"
    position = {
        **dict.fromkeys(("security_id", "transaction_type", "trade_quantity", "trade_date"), None),
        **dict.fromkeys(NUMBERS, 0),
        "security_id": "A" * 24,
        "price": "PRICE",
    }
    outcome = {
        "rebalance_id": "8" * 24,
        "portfolio_id": "P\u2028",
        "market_value": 5,
        "base": 5,
        "cash_before_rebalance": 1,
        "cash_after_rebalance": 1,
        "positions": [position],
        "status": "NO_TRADE",
        "outside_band": [
            {"security_id": "A" * 24, "side": "ABOVE", "outside": 5, "held_by": ["direction"]}
        ],
        "open_orders_counted": 0,
        "error": None,
    }
    text = json.dumps(outcome, ensure_ascii=False).replace('"PRICE"', price).encode() + b"\n"
    whole = text * 3
    stream = httpx.ByteStream(whole)
    line = Line(httpx.Response(200, stream=stream))
    with Client("http://test", transport=line) as client:
        found = list(client.stream_outcomes("7" * 24))

    assert len(found) == 3
    assert isinstance(found[0], PortfolioResult)
    assert found[0].positions[0].price == Decimal(price)
    assert found[0].outside_band == (OutsideBand("A" * 24, "ABOVE", Decimal(5), ("direction",)),)


NUMBERS = (
    "original_quantity",
    "adjusted_quantity",
    "original_position_market_value",
    "adjusted_position_market_value",
    "target",
    "high_drift",
    "low_drift",
    "actual",
    "actual_drift",
)


def test_a_list_that_breaks_off_is_an_error_and_not_shorter() -> None:
    line = Line(httpx.Response(200, stream=Breaking(b'{"rebalance_id": ')))
    with Client("http://test", transport=line) as client, pytest.raises(httpx.ReadError):
        list(client.list_transactions("8" * 24))


def test_what_is_no_number_text_or_list_cannot_be_sent() -> None:
    anything: Any = object()
    with Client("http://test", transport=Line()) as client, pytest.raises(TypeError):
        client.add_model("Growth", [Position("A" * 24, *[Decimal(0)] * 3)], anything)
