"""schemathesis with the committed configuration."""

import subprocess
import sys
from pathlib import Path

CONFIG = Path(__file__).parents[2] / "schemathesis.toml"
SINGLE_CALLS = "examples,coverage,fuzzing"
CALL_SEQUENCES = "stateful"
MAX_DURATION_S = 900


def run_schemathesis(
    url: str,
    examples: int,
    directory: Path,
    *options: str,
    phases: str = f"{SINGLE_CALLS},{CALL_SEQUENCES}",
) -> tuple[int, str]:
    """Run schemathesis with fixed ``examples`` of each route; return exit code and output.

    ``options`` are more options of its command line, such as the routes to leave out.
    """
    command = [
        Path(sys.executable).with_name("schemathesis"),
        f"--config-file={CONFIG}",
        "run",
        f"{url}/openapi.json",
        f"--phases={phases}",
        f"--max-examples={examples}",
        "--seed=1",
        "--request-timeout=60",
        *options,
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
