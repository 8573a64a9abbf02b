"""Problems as they came; the ``error`` of a response is one."""

from collections.abc import Mapping
from typing import Any

Problem = Mapping[str, Any]
