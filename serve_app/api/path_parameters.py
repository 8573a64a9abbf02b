"""Ids in the paths of routes."""

from typing import Annotated, Any, Final

from fastapi import Path

_OBJECT_ID: Final[Any] = Path(pattern=r"^[0-9a-fA-F]{24}$", description="24 hexadecimal digits")

ModelId = Annotated[str, _OBJECT_ID]
RebalanceId = Annotated[str, _OBJECT_ID]
RunId = Annotated[str, _OBJECT_ID]
PortfolioId = Annotated[str, Path(pattern=r"^[A-Za-z0-9]{24}$", description="24 letters or digits")]
