"""Hook of the build: a wheel has the built console inside."""

import subprocess
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class ConsoleHook(BuildHookInterface[Any]):
    """Builds the page before a wheel is packed; an editable install builds it with make."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build the page unless the install is editable."""
        del build_data
        if version != "editable":
            script = Path(self.root, "console/build.py")
            subprocess.run([sys.executable, str(script)], check=True)  # noqa: S603
