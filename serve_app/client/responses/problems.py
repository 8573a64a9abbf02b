"""Problems as the service sends them, such as the ``error`` of a response."""

from collections.abc import Mapping
from typing import Any

Problem = Mapping[str, Any]
