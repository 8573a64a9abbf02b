"""The ids that stand in paths."""

from typing import Annotated

from fastapi import Path

ModelId = Annotated[str, Path(pattern=r"^[0-9a-fA-F]{24}$", description="24 hexadecimal digits")]
PortfolioId = Annotated[str, Path(pattern=r"^[A-Za-z0-9]{24}$", description="24 letters or digits")]
RebalanceId = Annotated[str, Path(pattern=r"^[0-9a-fA-F]{24}$", description="24 hex digits")]
RunId = Annotated[str, Path(pattern=r"^[0-9a-fA-F]{24}$", description="24 hex digits")]
