"""schemathesis with the committed configuration."""

import subprocess
import sys
from pathlib import Path

CONFIG = Path(__file__).parents[2] / "schemathesis.toml"
PHASES = "examples,coverage,fuzzing,stateful"
MAX_DURATION_S = 900


def run_schemathesis(
    url: str, examples: int, directory: Path, without: tuple[str, ...] = ()
) -> tuple[int, str]:
    """Run schemathesis with fixed ``examples`` of each route; return exit code and output.

    Routes whose path matches one of ``without`` are left out.
    """
    command = [
        Path(sys.executable).with_name("schemathesis"),
        f"--config-file={CONFIG}",
        "run",
        f"{url}/openapi.json",
        f"--phases={PHASES}",
        f"--max-examples={examples}",
        "--seed=1",
        "--request-timeout=60",
        *(f"--exclude-path-regex={path}" for path in without),
        "--generation-database=none",
        "--no-color",
    ]
    result = subprocess.run(
        command,
        cwd=directory,  # because schemathesis writes its reports there
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=MAX_DURATION_S,
        check=False,
    )
    return result.returncode, result.stdout
