"""Fake portfolio service: names of portfolios."""

from collections.abc import Iterable, Mapping
from typing import Any


class OneName:
    """Portfolio service at which every portfolio has one name."""

    def __init__(self, name: str | None) -> None:
        self._name = name

    async def read_names(self, portfolio_ids: Iterable[str]) -> Mapping[str, str | None]:
        return dict.fromkeys(portfolio_ids, self._name)


def name_everything(name: str | None) -> Any:
    """Build a portfolio service that gives every portfolio this name; None for no names."""
    return OneName(name)
