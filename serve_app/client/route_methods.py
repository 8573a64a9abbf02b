"""Routes: the one table of what both clients can do."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from functools import update_wrapper
from typing import Any, Generic, ParamSpec, Protocol, Self, TypeVar, overload

from serve_app.client import endpoints
from serve_app.client.call import Call
from serve_app.client.streaming import Reading

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

    live = Answered(endpoints.live)
    ready = Answered(endpoints.ready)

    list_models = Listed(endpoints.list_models)
    add_model = Answered(endpoints.add_model)
    read_model = Answered(endpoints.read_model)
    replace_model = Answered(endpoints.replace_model)
    delete_model = Answered(endpoints.delete_model)
    add_position = Answered(endpoints.add_position)
    replace_position = Answered(endpoints.replace_position)
    remove_position = Answered(endpoints.remove_position)
    add_portfolios = Answered(endpoints.add_portfolios)
    remove_portfolios = Answered(endpoints.remove_portfolios)

    rebalance_model = Answered(endpoints.rebalance_model)
    rebalance_portfolio = Answered(endpoints.rebalance_portfolio)
    optimize = Answered(endpoints.optimize)
    measure_portfolio = Answered(endpoints.measure_portfolio)
    measure_portfolios = Listed(endpoints.measure_portfolios)

    list_rebalances = Listed(endpoints.list_rebalances)
    list_rebalances_of_portfolios = Listed(endpoints.list_rebalances_of_portfolios)
    read_rebalance = Answered(endpoints.read_rebalance)
    list_portfolios = Listed(endpoints.list_portfolios)
    list_positions = Answered(endpoints.list_positions)
    delete_rebalance = Answered(endpoints.delete_rebalance)
    list_transactions = Streamed(endpoints.list_transactions)
    export_transactions = Streamed(endpoints.export_transactions)
    hand_over = Answered(endpoints.hand_over)
    list_orders = Answered(endpoints.list_orders)
    name_portfolios = Answered(endpoints.name_portfolios)

    begin_run = Answered(endpoints.begin_run)
    list_runs = Listed(endpoints.list_runs)
    read_run = Answered(endpoints.read_run)
    cancel_run = Answered(endpoints.cancel_run)
    follow_run = Streamed(endpoints.follow_run)
    stream_outcomes = Streamed(endpoints.stream_outcomes)
