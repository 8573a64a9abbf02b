"""Problem text: the reason, the obstacle and the remedy of a refusal in lines for a person."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from serve_app.cli.output import escape_unprintable

if TYPE_CHECKING:
    from serve_app.client import ProblemError

Problem = Mapping[str, Any]

MAX_LISTED_ENTRIES = 10
MAX_TRADES = 4
# The generic lines leave these members out, because they have a line of their own, repeat the
# command or are for programs.
MEMBERS_ELSEWHERE = frozenset(
    {"type", "title", "status", "detail", "instance", "correlation_id", "errors", "securities"}
    | {"limits", "admits", "nearest_plan", "portfolios", "portfolio_id", "rebalance_id", "model_id"}
)


def list_refusal_lines(error: "ProblemError") -> list[str]:
    """List the lines of a problem that are useful to a person."""
    problem = error.problem
    lines = [f"{error.status} {error.type}: {error.detail}"]
    lines += _indent([*_shorten_list(error.places, "errors"), *list_details(problem)])
    portfolios = _select_mappings(problem.get("portfolios"))
    failures = [
        portfolio for portfolio in portfolios if isinstance(portfolio.get("error"), Mapping)
    ]
    lines += list_reasons(
        (str(failure.get("portfolio_id")), failure["error"]) for failure in failures
    )
    others = [_summarize(portfolio) for portfolio in portfolios if portfolio not in failures]
    lines += _indent(_shorten_list(others, "portfolios"))
    if error.status == HTTPStatus.UNPROCESSABLE_ENTITY and (
        rebalance_id := problem.get("rebalance_id")
    ):
        lines.append(f"stored as rebalance {rebalance_id}")
    if error.status >= 500 and (correlation_id := problem.get("correlation_id")):
        lines.append(f"correlation id {correlation_id}")
    return [escape_unprintable(line) for line in lines]


def list_reasons(failures: Iterable[tuple[str, Problem]]) -> list[str]:
    """List the reasons why portfolios have no plan."""
    lines: list[str] = []
    failures = list(failures)
    for portfolio_id, problem in failures[:MAX_LISTED_ENTRIES]:
        lines.append(f"{portfolio_id}: {problem.get('detail') or problem.get('title')}")
        lines += _indent(list_details(problem))
    if len(failures) > MAX_LISTED_ENTRIES:
        more = len(failures) - MAX_LISTED_ENTRIES
        lines.append(f"{more:,} more have no plan; --json has the reason of each")
    return [escape_unprintable(line) for line in lines]


def list_details(problem: Problem) -> Iterator[str]:
    """Yield lines for the members of a problem that its detail does not mention."""
    detail = str(problem.get("detail", ""))
    yield from _shorten_list(_describe_securities(problem.get("securities"), detail), "securities")
    limits = [_summarize(limit) for limit in _select_mappings(problem.get("limits"))]
    if unmentioned := [limit for limit in limits if limit not in detail]:
        yield f"in the way: {', '.join(unmentioned)}"
    admitting = _select_mappings(problem.get("admits"))
    if unmentioned := [
        _summarize(option) for option in admitting if str(option.get("option")) not in detail
    ]:
        yield f"what would admit a plan: {', '.join(unmentioned)}"
    plan = problem.get("nearest_plan")
    if isinstance(plan, Mapping):
        yield f"nearest plan: {_describe_plan(plan)}"
    for name, value in problem.items():
        if name not in MEMBERS_ELSEWHERE and value not in (None, [], {}, ""):
            yield f"{name}: {_summarize(value)}"


def _describe_securities(entries: Any, detail: str) -> Iterator[str]:
    if not isinstance(entries, Sequence):
        return
    for entry in entries:
        if not isinstance(entry, Mapping):
            if str(entry) not in detail:
                yield str(entry)
            continue
        line = f"{entry.get('security_id')} at {entry.get('price')}: target {entry.get('target')}"
        line += _format_band(entry)
        if option := entry.get("option"):
            line += f", held by {option}"
        if isinstance(band := entry.get("smallest_band"), Mapping):
            line += f"; the smallest band with a whole lot is{_format_band(band)}"
        yield line


def _format_band(entry: Mapping[str, Any]) -> str:
    signs = {"low_drift": "-", "high_drift": "+"}
    return "".join(f" {sign}{entry[name]}" for name, sign in signs.items() if name in entry)


def _describe_plan(plan: Mapping[str, Any]) -> str:
    trades = [
        f"{trade.get('transaction_type')} {trade.get('quantity')} {trade.get('security_id')}"
        for trade in _select_mappings(plan.get("transactions"))
    ]
    parts = [", ".join(trades) if len(trades) <= MAX_TRADES else f"{len(trades):,} trades"]
    if not trades:
        parts = ["no trade"]
    if (cash := plan.get("cash_after_rebalance")) is not None:
        parts.append(f"cash after {cash}")
    if (drift := plan.get("objective")) is not None:
        parts.append(f"drift {drift}")
    outside = [
        f"{position.get('security_id')} at {position.get('actual')}"
        for position in _select_mappings(plan.get("outside_band"))
    ]
    if outside:
        more = (
            f" and {len(outside) - MAX_LISTED_ENTRIES} more"
            if len(outside) > MAX_LISTED_ENTRIES
            else ""
        )
        parts.append(f"outside their bands: {', '.join(outside[:MAX_LISTED_ENTRIES])}{more}")
    if gives := plan.get("gives"):
        parts.append(f"gives {_summarize(gives)}")
    return "; ".join(parts)


def _shorten_list(lines: Iterable[str], noun: str) -> Iterator[str]:
    lines = list(lines)
    yield from lines[:MAX_LISTED_ENTRIES]
    if len(lines) > MAX_LISTED_ENTRIES:
        yield f"{len(lines) - MAX_LISTED_ENTRIES:,} more {noun}"


def _summarize(value: Any) -> str:
    """Format any value in one line; an option and its amount read as "OPTION by AMOUNT"."""
    if isinstance(value, Mapping) and "option" in value:
        amount = value.get("by") or value.get("short_by")
        words = [value["option"], value.get("value"), amount and f"by {amount}"]
        return " ".join(str(word) for word in words if word)
    if isinstance(value, Mapping):
        return " ".join(f"{name} {_summarize(member)}" for name, member in value.items())
    if isinstance(value, Sequence) and not isinstance(value, str):
        more = (
            f" and {len(value) - MAX_LISTED_ENTRIES} more"
            if len(value) > MAX_LISTED_ENTRIES
            else ""
        )
        return f"{', '.join(_summarize(entry) for entry in value[:MAX_LISTED_ENTRIES])}{more}"
    return str(value)


def _select_mappings(value: Any) -> list[Mapping[str, Any]]:
    if not isinstance(value, Sequence):
        return []
    return [entry for entry in value if isinstance(entry, Mapping)]


def _indent(lines: Iterable[str]) -> list[str]:
    return [f"  {line}" for line in lines]
