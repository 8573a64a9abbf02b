"""Routes: the one table of the methods of both clients."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from functools import update_wrapper
from typing import Any, Generic, ParamSpec, Protocol, Self, TypeVar, overload

from serve_app.client import endpoints
from serve_app.client.call import Call
from serve_app.client.streaming import StreamReader

P = ParamSpec("P")
T = TypeVar("T")
R = TypeVar("R")


class SyncCaller(Protocol):
    """A client whose calls return answers."""

    def answer(self, call: Call[T]) -> T: ...
    def items(self, call: Call[tuple[T, ...]]) -> Iterator[T]: ...
    def stream(self, reader: StreamReader[T]) -> Iterator[T]: ...


class AsyncCaller(Protocol):
    """A client whose answers are awaited."""

    async def answer(self, call: Call[T]) -> T: ...
    def items(self, call: Call[tuple[T, ...]]) -> AsyncIterator[T]: ...
    def stream(self, reader: StreamReader[T]) -> AsyncIterator[T]: ...


class _Route(Generic[P, R]):
    """A row of the table: the arguments of a call become the request that a client sends."""

    def __init__(self, build_request: Callable[P, R]) -> None:
        self._build_request = build_request
        self.__doc__ = build_request.__doc__

    def bind(self, send: Callable[[R], Any]) -> Callable[P, Any]:
        """Return the method of one client, with the signature and the text of the row."""

        def method(*args: P.args, **kwargs: P.kwargs) -> Any:
            return send(self._build_request(*args, **kwargs))

        return update_wrapper(method, self._build_request)


class AnswerRoute(_Route[P, Call[T]]):
    """A route with one answer."""

    @overload
    def __get__(self, client: None, kind: type) -> Self: ...
    @overload
    def __get__(self, client: SyncCaller, kind: type) -> Callable[P, T]: ...
    @overload
    def __get__(self, client: AsyncCaller, kind: type) -> Callable[P, Awaitable[T]]: ...
    def __get__(self, client: SyncCaller | AsyncCaller | None, kind: type) -> Any:
        return self if client is None else self.bind(client.answer)


class ListRoute(_Route[P, Call[tuple[T, ...]]]):
    """A route with pages, which are requested as the items are consumed."""

    @overload
    def __get__(self, client: None, kind: type) -> Self: ...
    @overload
    def __get__(self, client: SyncCaller, kind: type) -> Callable[P, Iterator[T]]: ...
    @overload
    def __get__(self, client: AsyncCaller, kind: type) -> Callable[P, AsyncIterator[T]]: ...
    def __get__(self, client: SyncCaller | AsyncCaller | None, kind: type) -> Any:
        return self if client is None else self.bind(client.items)


class StreamRoute(_Route[P, StreamReader[T]]):
    """A route whose answer is streamed."""

    @overload
    def __get__(self, client: None, kind: type) -> Self: ...
    @overload
    def __get__(self, client: SyncCaller, kind: type) -> Callable[P, Iterator[T]]: ...
    @overload
    def __get__(self, client: AsyncCaller, kind: type) -> Callable[P, AsyncIterator[T]]: ...
    def __get__(self, client: SyncCaller | AsyncCaller | None, kind: type) -> Any:
        return self if client is None else self.bind(client.stream)


class Routes:
    """Routes of the service, each under the name of its function in ``endpoints``."""

    live = AnswerRoute(endpoints.live)
    system = AnswerRoute(endpoints.system)
    ready = AnswerRoute(endpoints.ready)

    list_models = ListRoute(endpoints.list_models)
    add_model = AnswerRoute(endpoints.add_model)
    read_model = AnswerRoute(endpoints.read_model)
    list_model_versions = ListRoute(endpoints.list_model_versions)
    read_model_version = AnswerRoute(endpoints.read_model_version)
    replace_model = AnswerRoute(endpoints.replace_model)
    delete_model = AnswerRoute(endpoints.delete_model)
    add_position = AnswerRoute(endpoints.add_position)
    replace_position = AnswerRoute(endpoints.replace_position)
    remove_position = AnswerRoute(endpoints.remove_position)
    add_portfolios = AnswerRoute(endpoints.add_portfolios)
    remove_portfolios = AnswerRoute(endpoints.remove_portfolios)

    rebalance_model = AnswerRoute(endpoints.rebalance_model)
    rebalance_portfolio = AnswerRoute(endpoints.rebalance_portfolio)
    optimize = AnswerRoute(endpoints.optimize)
    try_model = AnswerRoute(endpoints.try_model)
    measure_portfolio = AnswerRoute(endpoints.measure_portfolio)
    measure_portfolios = ListRoute(endpoints.measure_portfolios)
    begin_drift_scan = AnswerRoute(endpoints.begin_drift_scan)
    list_drift_scans = ListRoute(endpoints.list_drift_scans)
    read_drift_scan = AnswerRoute(endpoints.read_drift_scan)
    list_drift_lines = ListRoute(endpoints.list_drift_lines)
    read_drift_histogram = AnswerRoute(endpoints.read_drift_histogram)

    list_rebalances = ListRoute(endpoints.list_rebalances)
    list_rebalances_of_portfolios = ListRoute(endpoints.list_rebalances_of_portfolios)
    read_rebalance = AnswerRoute(endpoints.read_rebalance)
    list_portfolios = ListRoute(endpoints.list_portfolios)
    list_positions = AnswerRoute(endpoints.list_positions)
    list_rebalance_summaries = ListRoute(endpoints.list_rebalance_summaries)
    read_rebalance_summary = AnswerRoute(endpoints.read_rebalance_summary)
    list_outcomes = ListRoute(endpoints.list_outcomes)
    read_outcome_totals = AnswerRoute(endpoints.read_outcome_totals)
    read_outcome = AnswerRoute(endpoints.read_outcome)
    list_last_outcomes = AnswerRoute(endpoints.list_last_outcomes)
    list_causes = AnswerRoute(endpoints.list_causes)
    list_run_causes = AnswerRoute(endpoints.list_run_causes)
    delete_rebalance = AnswerRoute(endpoints.delete_rebalance)
    list_transactions = StreamRoute(endpoints.list_transactions)
    list_trades = ListRoute(endpoints.list_trades)
    read_trade_totals = AnswerRoute(endpoints.read_trade_totals)
    export_transactions = StreamRoute(endpoints.export_transactions)
    hand_over = AnswerRoute(endpoints.hand_over)
    list_orders = AnswerRoute(endpoints.list_orders)
    list_orders_of_all = ListRoute(endpoints.list_orders_of_all)
    propose_orders = AnswerRoute(endpoints.propose_orders)
    list_proposals = ListRoute(endpoints.list_proposals)
    read_proposal = AnswerRoute(endpoints.read_proposal)
    list_holds = ListRoute(endpoints.list_holds)
    decide_proposal = AnswerRoute(endpoints.decide_proposal)
    withdraw_proposal = AnswerRoute(endpoints.withdraw_proposal)
    list_rules = ListRoute(endpoints.list_rules)
    add_rule = AnswerRoute(endpoints.add_rule)
    read_rule = AnswerRoute(endpoints.read_rule)
    replace_rule = AnswerRoute(endpoints.replace_rule)
    delete_rule = AnswerRoute(endpoints.delete_rule)
    find_portfolios = AnswerRoute(endpoints.find_portfolios)
    name_portfolios = AnswerRoute(endpoints.name_portfolios)
    name_securities = AnswerRoute(endpoints.name_securities)

    read_session = AnswerRoute(endpoints.read_session)
    list_keys = ListRoute(endpoints.list_keys)
    add_key = AnswerRoute(endpoints.add_key)
    rotate_key = AnswerRoute(endpoints.rotate_key)
    revoke_key = AnswerRoute(endpoints.revoke_key)
    list_audit_entries = ListRoute(endpoints.list_audit_entries)
    read_audit_head = AnswerRoute(endpoints.read_audit_head)
    stream_audit = StreamRoute(endpoints.stream_audit)
    export_audit = StreamRoute(endpoints.export_audit)

    begin_run = AnswerRoute(endpoints.begin_run)
    list_runs = ListRoute(endpoints.list_runs)
    read_run = AnswerRoute(endpoints.read_run)
    cancel_run = AnswerRoute(endpoints.cancel_run)
    follow_run = StreamRoute(endpoints.follow_run)
    stream_outcomes = StreamRoute(endpoints.stream_outcomes)
    export_outcomes = StreamRoute(endpoints.export_outcomes)
