"""Outcomes of portfolios as the response of a route: elements, or the problem that all share."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import tzinfo
from functools import lru_cache

from starlette.responses import Response, StreamingResponse

from optimization import BlockOutcome, PortfolioOutcome, Status
from serve_app.api.problem_responses import response
from serve_app.api.schemas.block_elements import write_block
from serve_app.api.schemas.outcome_lines import OutcomeLines
from serve_app.api.schemas.position_details import given_positions_json
from serve_app.api.schemas.rebalances import RebalanceAnswer, outcome_json
from serve_app.api.schemas.rules import rule_results
from serve_app.chunks.blocks import list_all_outcomes, list_separate_outcomes
from serve_app.json_text import encode
from serve_app.ports.optimize import RawResponse
from serve_app.ports.rebalances import OutcomeElements, WrittenOutcomes
from serve_app.problems import catalogue
from serve_app.problems.error_table import find_refusal_kind, retry_headers
from serve_app.rules.evaluation import RuleCheck
from storage.rebalances.rebalance import Rebalance

ENCODING_BATCH_SIZE = 50  # portfolios, about 5 ms, because the event loop waits meanwhile
MAX_LISTED_PORTFOLIOS = 100
SLICE_BYTES = 2**20
# Two writers are cached, because the securities of a model have the same text in every answer.
_lines_of = lru_cache(maxsize=2)(OutcomeLines)
WITHOUT_PLAN = frozenset({Status.INFEASIBLE, Status.FAILED})


def flatten_response(response: Response) -> RawResponse:
    """Turn a response into plain data, which another process can send."""
    return RawResponse(response.status_code, dict(response.headers), bytes(response.body))


async def build_response(written: RawResponse) -> Response:
    """Build the response from the text that other processes wrote."""
    if isinstance(written.body, bytes):
        return Response(written.body, written.status, written.headers)
    # Every part is read before the first byte leaves, because a lost part is an error until then.
    parts = [await part.read() for part in written.body]
    return StreamingResponse(_slice_array(parts), written.status, written.headers)


def answer_elements(elements: OutcomeElements, headers: Mapping[str, str]) -> Response:
    """Answer with a JSON array whose elements are written already."""
    length = sum(map(len, elements.parts)) + len(elements.parts) + 1
    headers = {**headers, "content-length": str(length)}
    parts = _slice_array(elements.parts)
    return StreamingResponse(parts, headers=headers, media_type="application/json")


async def _slice_array(parts: Sequence[memoryview]) -> AsyncIterator[bytes]:
    """Yield a JSON array of parts in slices, because the parts are large and not copied whole."""
    for number, part in enumerate(parts):
        yield b"," if number else b"["
        for start in range(0, len(part), SLICE_BYTES):
            yield bytes(part[start : start + SLICE_BYTES])
    yield b"]"


def json_response(
    value: object, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """Write a value as the JSON body of a response."""
    return Response(encode(value), status, headers, "application/json")


def derive_trade_date(rebalance: Rebalance, zone: tzinfo) -> str:
    """Return the day of the rebalance in the configured zone; a replayed answer keeps it."""
    return rebalance.started_at.astimezone(zone).date().isoformat()


@dataclass(frozen=True, slots=True)
class Heading:
    """Members shared by all elements of an answer; an id is None if nothing is stored.

    ``notes`` are the assumptions about single portfolios, by portfolio id; ``rules`` check the
    plans, None without rules; with ``positions`` each element has its positions.
    """

    rebalance_id: str | None
    model_id: str | None
    trade_date: str
    notes: Mapping[str, str] = field(default_factory=dict[str, str])
    rules: RuleCheck | None = None
    positions: bool = False
    lines: OutcomeLines = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "lines", OutcomeLines(self.trade_date))


def build_heading(rebalance: Rebalance, zone: tzinfo, *, is_stored: bool = True) -> Heading:
    """Return the heading of a rebalance, with its id if it is stored."""
    rebalance_id = rebalance.rebalance_id if is_stored else None
    day = derive_trade_date(rebalance, zone)
    rules = RuleCheck.from_rebalance(rebalance) if rebalance.rules else None
    return Heading(rebalance_id, rebalance.model_id, day, rules=rules)


async def write_outcomes(
    rebalance: Rebalance,
    outcomes: BlockOutcome | Sequence[PortfolioOutcome],
    zone: tzinfo,
    *,
    is_stored: bool,
) -> WrittenOutcomes:
    """Write some outcomes of a rebalance as elements of its answer."""
    heading = build_heading(rebalance, zone, is_stored=is_stored)
    if heading.rules and isinstance(outcomes, BlockOutcome):
        # The block becomes objects, because a rule is evaluated on the plan of a portfolio.
        outcomes = list_all_outcomes(outcomes)
    if not isinstance(outcomes, BlockOutcome):
        return WrittenOutcomes(await write_elements(heading, outcomes), are_refused(outcomes))
    beside = list_separate_outcomes(outcomes)
    text = await _write_block_elements(heading, outcomes)
    return WrittenOutcomes(text, len(beside) == len(outcomes) and are_refused(beside))


async def answer_all(
    path: str, heading: Heading, outcomes: Sequence[PortfolioOutcome], headers: Mapping[str, str]
) -> Response:
    """Answer with one element per portfolio, or with a problem if none has a plan."""
    if are_refused(outcomes):
        return refuse_all(path, heading, outcomes, headers)
    text = await write_elements(heading, outcomes)
    return Response(b"[" + text + b"]", headers=headers, media_type="application/json")


def are_refused(outcomes: Sequence[PortfolioOutcome]) -> bool:
    """True if no portfolio has a plan; False without portfolios."""
    return bool(outcomes) and all(outcome.status in WITHOUT_PLAN for outcome in outcomes)


def answer_single(
    path: str, heading: Heading, outcome: PortfolioOutcome, headers: Mapping[str, str]
) -> Response:
    """Answer with the element of the only portfolio, or with its problem."""
    if outcome.status in WITHOUT_PLAN and outcome.refusal is not None:
        return refuse_one(path, heading, outcome, headers)
    element = _full_element(heading, outcome, _lines_of(heading.trade_date))
    return json_response(element, headers=headers)


async def write_elements(heading: Heading, outcomes: Sequence[PortfolioOutcome]) -> bytes:
    """Write the elements of a JSON array, without its brackets, letting other requests in between.

    Each part becomes text at once, because tens of thousands of live dicts slow the collector down.
    """
    parts: list[bytes] = []
    for start in range(0, len(outcomes), ENCODING_BATCH_SIZE):
        part = outcomes[start : start + ENCODING_BATCH_SIZE]
        parts.append(encode([_element(heading, outcome) for outcome in part])[1:-1])
        await asyncio.sleep(0)
    return b",".join(parts)


async def _write_block_elements(heading: Heading, outcome: BlockOutcome) -> bytes:
    """Write the elements of a block, as ``write_elements`` does."""
    parts: list[bytes] = []
    members = heading.rebalance_id, heading.model_id, heading.lines
    for place, element in enumerate(write_block(outcome, *members)):
        parts.append(element)
        if place % ENCODING_BATCH_SIZE == 0:
            await asyncio.sleep(0)
    return b",".join(parts)


def _element(heading: Heading, outcome: PortfolioOutcome) -> RebalanceAnswer:
    return _full_element(heading, outcome, heading.lines)


def _full_element(
    heading: Heading, outcome: PortfolioOutcome, lines: OutcomeLines
) -> RebalanceAnswer:
    ids = heading.rebalance_id, heading.model_id
    element = outcome_json(outcome, *ids, lines, heading.notes)
    if heading.positions:
        element["positions"] = given_positions_json(outcome)
    if heading.rules:  # otherwise left out, because clients of the original do not know it
        element["rules"] = rule_results(heading.rules, outcome)
    return element


def refuse_one(
    path: str, heading: Heading, outcome: PortfolioOutcome, headers: Mapping[str, str]
) -> Response:
    """Answer with the problem of the only portfolio."""
    assert outcome.refusal is not None
    members = {
        **outcome.refusal.members,
        "portfolio_id": outcome.portfolio_id,
        "rebalance_id": heading.rebalance_id,
        "model_id": heading.model_id,
    }
    kind = find_refusal_kind(outcome.refusal)
    own = {**headers, **retry_headers(kind)}
    return response(kind, outcome.refusal.detail, path, members, own)


def refuse_all(
    path: str, heading: Heading, outcomes: Sequence[PortfolioOutcome], headers: Mapping[str, str]
) -> Response:
    """Answer with the problem that all portfolios share, or with NONE_REBALANCED."""
    kinds = {
        find_refusal_kind(element.refusal) for element in outcomes if element.refusal is not None
    }
    kind = kinds.pop() if len(kinds) == 1 else catalogue.NONE_REBALANCED
    of_model = f" of model {heading.model_id}" if heading.model_id else ""
    detail = f"{kind.title}: none of {len(outcomes)} portfolios{of_model} was rebalanced."
    elements = [_element(heading, outcome) for outcome in outcomes[:MAX_LISTED_PORTFOLIOS]]
    members = {"rebalance_id": heading.rebalance_id, "portfolios": elements}
    return response(kind, detail, path, members, {**headers, **retry_headers(kind)})
