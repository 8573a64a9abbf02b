"""Routes: the one table of what both clients can do."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from functools import update_wrapper
from typing import Any, Generic, ParamSpec, Protocol, Self, TypeVar, overload

from serve_app.client import calls
from serve_app.client.reading import Reading
from serve_app.client.requests import Call

P = ParamSpec("P")
T = TypeVar("T")


class Blocking(Protocol):
    """A client whose answers are there when a call returns."""

    def answer(self, call: Call[T]) -> T: ...
    def items(self, call: Call[tuple[T, ...]]) -> Iterator[T]: ...
    def stream(self, reading: Reading[T]) -> Iterator[T]: ...


class Awaiting(Protocol):
    """A client whose answers are awaited."""

    async def answer(self, call: Call[T]) -> T: ...
    def items(self, call: Call[tuple[T, ...]]) -> AsyncIterator[T]: ...
    def stream(self, reading: Reading[T]) -> AsyncIterator[T]: ...


class Answered(Generic[P, T]):
    """A route with one answer."""

    def __init__(self, call: Callable[P, Call[T]]) -> None:
        self.call = call
        self.__doc__ = call.__doc__

    @overload
    def __get__(self, client: None, kind: type) -> Self: ...
    @overload
    def __get__(self, client: Blocking, kind: type) -> Callable[P, T]: ...
    @overload
    def __get__(self, client: Awaiting, kind: type) -> Callable[P, Awaitable[T]]: ...
    def __get__(self, client: Blocking | Awaiting | None, kind: type) -> Any:
        def answer(*args: P.args, **kwargs: P.kwargs) -> Any:
            return bound.answer(self.call(*args, **kwargs))

        if client is None:
            return self
        bound = client
        return update_wrapper(answer, self.call)


class Listed(Generic[P, T]):
    """A route with pages, which are asked for as the items are taken."""

    def __init__(self, call: Callable[P, Call[tuple[T, ...]]]) -> None:
        self.call = call
        self.__doc__ = call.__doc__

    @overload
    def __get__(self, client: None, kind: type) -> Self: ...
    @overload
    def __get__(self, client: Blocking, kind: type) -> Callable[P, Iterator[T]]: ...
    @overload
    def __get__(self, client: Awaiting, kind: type) -> Callable[P, AsyncIterator[T]]: ...
    def __get__(self, client: Blocking | Awaiting | None, kind: type) -> Any:
        def items(*args: P.args, **kwargs: P.kwargs) -> Any:
            return bound.items(self.call(*args, **kwargs))

        if client is None:
            return self
        bound = client
        return update_wrapper(items, self.call)


class Streamed(Generic[P, T]):
    """A route whose answer comes in pieces."""

    def __init__(self, reading: Callable[P, Reading[T]]) -> None:
        self.reading = reading
        self.__doc__ = reading.__doc__

    @overload
    def __get__(self, client: None, kind: type) -> Self: ...
    @overload
    def __get__(self, client: Blocking, kind: type) -> Callable[P, Iterator[T]]: ...
    @overload
    def __get__(self, client: Awaiting, kind: type) -> Callable[P, AsyncIterator[T]]: ...
    def __get__(self, client: Blocking | Awaiting | None, kind: type) -> Any:
        def stream(*args: P.args, **kwargs: P.kwargs) -> Any:
            return bound.stream(self.reading(*args, **kwargs))

        if client is None:
            return self
        bound = client
        return update_wrapper(stream, self.reading)


class Routes:
    """The routes of the service, each under its name there."""

    live = Answered(calls.live)
    ready = Answered(calls.ready)

    list_models = Listed(calls.list_models)
    add_model = Answered(calls.add_model)
    read_model = Answered(calls.read_model)
    replace_model = Answered(calls.replace_model)
    delete_model = Answered(calls.delete_model)
    add_position = Answered(calls.add_position)
    replace_position = Answered(calls.replace_position)
    remove_position = Answered(calls.remove_position)
    add_portfolios = Answered(calls.add_portfolios)
    remove_portfolios = Answered(calls.remove_portfolios)

    rebalance_model = Answered(calls.rebalance_model)
    rebalance_portfolio = Answered(calls.rebalance_portfolio)
    optimize = Answered(calls.optimize)
    measure_portfolio = Answered(calls.measure_portfolio)
    measure_portfolios = Listed(calls.measure_portfolios)

    list_rebalances = Listed(calls.list_rebalances)
    list_rebalances_of_portfolios = Listed(calls.list_rebalances_of_portfolios)
    read_rebalance = Answered(calls.read_rebalance)
    list_portfolios = Listed(calls.list_portfolios)
    list_positions = Answered(calls.list_positions)
    delete_rebalance = Answered(calls.delete_rebalance)
    list_transactions = Streamed(calls.list_transactions)
    export_transactions = Streamed(calls.export_transactions)
    hand_over = Answered(calls.hand_over)
    list_orders = Answered(calls.list_orders)
    name_portfolios = Answered(calls.name_portfolios)

    begin_run = Answered(calls.begin_run)
    list_runs = Listed(calls.list_runs)
    read_run = Answered(calls.read_run)
    cancel_run = Answered(calls.cancel_run)
    follow_run = Streamed(calls.follow_run)
    stream_outcomes = Streamed(calls.stream_outcomes)
