"""Bodies of requests, and Call: one request together with the reader of its answer."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from fractions import Fraction
from functools import cache
from typing import Any, Generic, TypedDict, TypeVar
from urllib.parse import quote
from uuid import uuid4

import httpx
import orjson
from pydantic import TypeAdapter

from serve_app.client.errors import parse_exact

T = TypeVar("T")
Amount = Decimal | int | str
Params = Mapping[str, str | int | bool | Sequence[str]]


class Currency(TypedDict):
    """An amount in currency, where a bare number between 0 and 1 would be refused."""

    amount: Amount


class Group(TypedDict, total=False):
    """Bounds on the weight of several securities together."""

    name: str
    security_ids: Sequence[str]
    low: Amount
    high: Amount


class Options(TypedDict, total=False):
    """Options of a rebalance (docs/reference/options.md); an amount may be text, "2.5%"."""

    cash_floor: Amount | Currency | None
    cash_ceiling: Amount | Currency | None
    cash_flow: Amount | None
    direction: str | None
    scope: str | None
    do_not_buy: Sequence[str] | None
    do_not_sell: Sequence[str] | None
    frozen: Sequence[str] | None
    lots: Mapping[str, Amount] | None
    minimum_shares: Amount | None
    minimum_value: Amount | Currency | None
    maximum_value: Amount | Currency | None
    volume_share: Amount | None
    maximum_trades: int | None
    turnover_cap: Amount | Currency | None
    cost_rate: Amount | None
    cost_per_trade: Amount | None
    costs_in_objective: bool | None
    groups: Sequence[Group] | None
    bands: str | None
    soft_band_price: Amount | None
    fewest_trades: bool | None
    liquidate: bool | None
    open_orders: str | None
    volumes: Mapping[str, Amount] | None


class PortfolioOptions(Options, total=False):
    """The options for one portfolio; ``model_id`` names one of the models that it follows."""

    model_id: str | None


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """A request and the reader of its answer; ``repeatable`` if a repetition changes nothing."""

    method: str
    path: str
    answer: Callable[[httpx.Response], T]
    params: Params = field(default_factory=dict[str, str])
    body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    repeatable: bool = False

    def request(self, http: httpx.Client | httpx.AsyncClient) -> httpx.Request:
        """Build the request that this client sends."""
        kind = {"Content-Type": "application/json"} if self.body is not None else {}
        headers = {**kind, **self.headers}
        params = self.params or None
        return http.build_request(
            self.method, self.path, params=params, content=self.body, headers=headers
        )

    def next_page(self, response: httpx.Response) -> "Call[T] | None":
        """Return the call for the next page; None after the last page."""
        link = response.links.get("next")
        if link is None:
            return None
        # Only the query of the link is used, because behind a proxy it may name another host.
        params = httpx.URL(link["url"]).params
        return replace(self, params={name: params.get_list(name) for name in params})

    def with_headers(self, headers: Mapping[str, str]) -> "Call[T]":
        """Return the call with more headers."""
        return replace(self, headers={**self.headers, **headers})


def get(kind: type[T] | Any, *steps: str, **params: Any) -> Call[Any]:
    """Build a GET of a path under /api/v1 whose answer is of this kind."""
    return Call("GET", path(*steps), answer_as(kind), _drop_unset(params), repeatable=True)


def change(
    kind: Any, method: str, steps: Sequence[str], body: Any, version: int | None
) -> Call[Any]:
    """Build a change, which names the version it was made from if any and is never repeated."""
    if_match = {} if version is None else {"If-Match": f'"{version}"'}
    text = None if body is None else encode_body(body)
    return Call(method, path(*steps), answer_as(kind), body=text, headers=if_match)


def delete(kind: Any, steps: Sequence[str], version: int) -> Call[Any]:
    """Build a DELETE of one version, which the query names as well as If-Match."""
    call = change(kind, "DELETE", steps, None, version)
    return replace(call, params={"version": version})


def work(kind: Any, steps: Sequence[str], body: Any, key: str | None, **params: Any) -> Call[Any]:
    """Build a POST that starts work, under a key that makes it safe to repeat."""
    headers = {"Idempotency-Key": key or uuid4().hex}
    text = None if body is None else encode_body(body)
    return Call("POST", path(*steps), answer_as(kind), _drop_unset(params), text, headers, True)


def path(*steps: str) -> str:
    """Join steps to a path under /api/v1.

    >>> path("model", "a/b")
    '/api/v1/model/a%2Fb'
    """
    return "/".join(("/api/v1", *(quote(step, safe="") for step in steps)))


def encode_body(body: Any) -> bytes:
    """Write JSON text, a Decimal as a string of its digits and a Fraction as "1/3".

    >>> encode_body({"cash_floor": Decimal("0.10"), "target": Fraction(1, 3)})
    b'{"cash_floor":"0.10","target":"1/3"}'
    """
    return orjson.dumps(body, default=_convert)


def answer_as(kind: Any) -> Callable[[httpx.Response], Any]:
    """Return the reader of an answer of this kind; None is the kind without a body."""
    if kind is None:
        return lambda _: None
    return lambda response: parse_answer(kind, response.content)


def parse_answer(kind: Any, text: bytes) -> Any:
    """Parse a JSON text as this kind of answer."""
    return _build_adapter(kind).validate_python(parse_exact(text))


@cache
def _build_adapter(kind: Any) -> TypeAdapter[Any]:
    # The adapter is cached, because building a validator takes longer than using it.
    return TypeAdapter(kind)


def _drop_unset(params: Mapping[str, Any]) -> Params:
    return {name: value for name, value in params.items() if value not in (None, "", ())}


def _convert(value: Any) -> Any:
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, Fraction):
        return str(value)
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, Sequence | frozenset | set):
        return list(value)
    raise TypeError(f"{type(value).__name__} cannot be sent")
