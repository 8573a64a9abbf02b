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
# Left out of the generic lines, because these members have a line of their own, repeat the command
# or are for programs.
TOLD = frozenset(
    {"type", "title", "status", "detail", "instance", "correlation_id", "errors", "securities"}
    | {"limits", "admits", "nearest_plan", "portfolios", "portfolio_id", "rebalance_id", "model_id"}
)


def refusal_lines(error: "ProblemError") -> list[str]:
    """List the lines of a problem that are useful to a person."""
    problem = error.problem
    lines = [f"{error.status} {error.type}: {error.detail}"]
    lines += _indent([*_some(error.places, "errors"), *detail_lines(problem)])
    portfolios = _mappings(problem.get("portfolios"))
    failures = [
        portfolio for portfolio in portfolios if isinstance(portfolio.get("error"), Mapping)
    ]
    lines += reason_lines(
        (str(failure.get("portfolio_id")), failure["error"]) for failure in failures
    )
    others = [_brief(portfolio) for portfolio in portfolios if portfolio not in failures]
    lines += _indent(_some(others, "portfolios"))
    if error.status == HTTPStatus.UNPROCESSABLE_ENTITY and (
        rebalance_id := problem.get("rebalance_id")
    ):
        lines.append(f"stored as rebalance {rebalance_id}")
    if error.status >= 500 and (correlation_id := problem.get("correlation_id")):
        lines.append(f"correlation id {correlation_id}")
    return [escape_unprintable(line) for line in lines]


def reason_lines(failures: Iterable[tuple[str, Problem]]) -> list[str]:
    """List the reasons why portfolios have no plan."""
    lines: list[str] = []
    failures = list(failures)
    for portfolio_id, problem in failures[:MAX_LISTED_ENTRIES]:
        lines.append(f"{portfolio_id}: {problem.get('detail') or problem.get('title')}")
        lines += _indent(detail_lines(problem))
    if len(failures) > MAX_LISTED_ENTRIES:
        more = len(failures) - MAX_LISTED_ENTRIES
        lines.append(f"{more:,} more have no plan; --json has the reason of each")
    return [escape_unprintable(line) for line in lines]


def detail_lines(problem: Problem) -> Iterator[str]:
    """Yield lines for the members of a problem that its detail does not mention."""
    detail = str(problem.get("detail", ""))
    yield from _some(_securities(problem.get("securities"), detail), "securities")
    limits = [_brief(limit) for limit in _mappings(problem.get("limits"))]
    if unsaid := [limit for limit in limits if limit not in detail]:
        yield f"in the way: {', '.join(unsaid)}"
    admitting = _mappings(problem.get("admits"))
    if unsaid := [
        _brief(option) for option in admitting if str(option.get("option")) not in detail
    ]:
        yield f"what would admit a plan: {', '.join(unsaid)}"
    plan = problem.get("nearest_plan")
    if isinstance(plan, Mapping):
        yield f"nearest plan: {_plan(plan)}"
    for name, value in problem.items():
        if name not in TOLD and value not in (None, [], {}, ""):
            yield f"{name}: {_brief(value)}"


def _securities(entries: Any, detail: str) -> Iterator[str]:
    if not isinstance(entries, Sequence):
        return
    for entry in entries:
        if not isinstance(entry, Mapping):
            if str(entry) not in detail:
                yield str(entry)
            continue
        line = f"{entry.get('security_id')} at {entry.get('price')}: target {entry.get('target')}"
        line += _band(entry)
        if option := entry.get("option"):
            line += f", held by {option}"
        if isinstance(band := entry.get("smallest_band"), Mapping):
            line += f"; the smallest band with a whole lot is{_band(band)}"
        yield line


def _band(entry: Mapping[str, Any]) -> str:
    signs = {"low_drift": "-", "high_drift": "+"}
    return "".join(f" {sign}{entry[name]}" for name, sign in signs.items() if name in entry)


def _plan(plan: Mapping[str, Any]) -> str:
    trades = [
        f"{trade.get('transaction_type')} {trade.get('quantity')} {trade.get('security_id')}"
        for trade in _mappings(plan.get("transactions"))
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
        for position in _mappings(plan.get("outside_band"))
    ]
    if outside:
        more = (
            f" and {len(outside) - MAX_LISTED_ENTRIES} more"
            if len(outside) > MAX_LISTED_ENTRIES
            else ""
        )
        parts.append(f"outside their bands: {', '.join(outside[:MAX_LISTED_ENTRIES])}{more}")
    if gives := plan.get("gives"):
        parts.append(f"gives {_brief(gives)}")
    return "; ".join(parts)


def _some(lines: Iterable[str], noun: str) -> Iterator[str]:
    lines = list(lines)
    yield from lines[:MAX_LISTED_ENTRIES]
    if len(lines) > MAX_LISTED_ENTRIES:
        yield f"{len(lines) - MAX_LISTED_ENTRIES:,} more {noun}"


def _brief(value: Any) -> str:
    """Format any value in one line; an option and its amount read as "OPTION by AMOUNT"."""
    if isinstance(value, Mapping) and "option" in value:
        amount = value.get("by") or value.get("short_by")
        words = [value["option"], value.get("value"), amount and f"by {amount}"]
        return " ".join(str(word) for word in words if word)
    if isinstance(value, Mapping):
        return " ".join(f"{name} {_brief(member)}" for name, member in value.items())
    if isinstance(value, Sequence) and not isinstance(value, str):
        more = (
            f" and {len(value) - MAX_LISTED_ENTRIES} more"
            if len(value) > MAX_LISTED_ENTRIES
            else ""
        )
        return f"{', '.join(_brief(entry) for entry in value[:MAX_LISTED_ENTRIES])}{more}"
    return str(value)


def _mappings(value: Any) -> list[Mapping[str, Any]]:
    if not isinstance(value, Sequence):
        return []
    return [entry for entry in value if isinstance(entry, Mapping)]


def _indent(lines: Iterable[str]) -> list[str]:
    return [f"  {line}" for line in lines]
