"""Names beside ids: portfolio names and tickers that the service knows, for tables."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from serve_app.client import Client

IDS_PER_REQUEST: Final = 100
MAX_NAMED: Final = 1000  # ids of a kind, because a table of more is read by programs


@dataclass(frozen=True, slots=True)
class Names:
    """Portfolio names and tickers by id; an id without a name is missing."""

    portfolios: dict[str, str] = field(default_factory=dict[str, str])
    tickers: dict[str, str] = field(default_factory=dict[str, str])


NO_NAMES: Final = Names()


def look_up_names(
    client: "Client", *, portfolio_ids: Iterable[str] = (), security_ids: Iterable[str] = ()
) -> Names:
    """Look up names of portfolios and securities; ids stay alone where the service has none."""
    return Names(
        _look_up(portfolio_ids, client.name_portfolios, "portfolio_id", "name"),
        _look_up(security_ids, client.name_securities, "security_id", "ticker"),
    )


def _look_up(
    ids: Iterable[str], ask: Callable[[Sequence[str]], Sequence[Any]], key: str, name: str
) -> dict[str, str]:
    import httpx

    from serve_app.client import ProblemError

    names: dict[str, str] = {}
    sample = [*islice(dict.fromkeys(ids), MAX_NAMED)]
    try:
        for first in range(0, len(sample), IDS_PER_REQUEST):
            for entry in ask(sample[first : first + IDS_PER_REQUEST]):
                if (known := getattr(entry, name)) is not None:
                    names[getattr(entry, key)] = known
    except (ProblemError, httpx.TransportError):
        pass  # because a table without names is better than no table
    return names
