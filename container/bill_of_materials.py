"""Bill of materials of an image: CycloneDX, SPDX, and a table of the licences.

syft reads the file system of the image, so that the bill names what is in it, and not what a lock
would have put there. It comes from PyPI by the group `image` of uv.lock, in an environment of its
own, because nobody needs it for anything else.
"""

import json
import os
import re
import subprocess
from collections.abc import Iterator
from importlib.metadata import Distribution
from pathlib import Path
from typing import Any, Final

from container.engine import ROOT, STATE, EngineError

TOOLS: Final = STATE / "tools"
WITHIN_S: Final = 600.0
CYCLONEDX: Final = "order-generation-service.cdx.json"
SPDX: Final = "order-generation-service.spdx.json"
LICENCES: Final = "licences.md"


def write_bill(root: Path, version: str, directory: Path) -> None:
    """Write the three files for the file system below ``root``."""
    directory.mkdir(parents=True, exist_ok=True)
    _run(
        [str(ROOT / ".tools/bin/uv"), "sync", "--frozen", "--only-group", "image"],
        UV_PROJECT_ENVIRONMENT=str(TOOLS),
    )
    _run(
        [
            *(str(TOOLS / "bin/syft"), "scan", f"dir:{root}", "--quiet"),
            *("--source-name", "order-generation-service", "--source-version", version),
            *("--output", f"cyclonedx-json={directory / CYCLONEDX}"),
            *("--output", f"spdx-json={directory / SPDX}"),
        ],
        SYFT_CHECK_FOR_APP_UPDATE="false",
    )
    bill = json.loads((directory / CYCLONEDX).read_text())
    stated = read_statements(root)
    lines = ["| package | version | licences |", "|---|---|---|"]
    lines += sorted({f"| {' | '.join(row)} |" for row in list_licences(bill, stated)})
    (directory / LICENCES).write_text("\n".join(lines) + "\n")


def list_licences(bill: dict[str, Any], stated: dict[str, str]) -> Iterator[tuple[str, str, str]]:
    """Yield name, version and licences of each package of a CycloneDX bill.

    For licences that syft did not find, ``stated`` has what the packages say of themselves.
    """
    for component in bill["components"]:
        if component.get("purl"):
            name = component["name"]
            licences = [
                entry.get("expression") or entry["license"].get("id") or entry["license"]["name"]
                for entry in component.get("licenses", ())
            ]
            text = ", ".join(" ".join(name.split())[:60] for name in licences)
            yield (
                name,
                component.get("version", ""),
                text or stated.get(normal_name(name), "not named"),
            )


def read_statements(root: Path) -> dict[str, str]:
    """Read what the packages of an image say of their licences, by the names of the packages."""
    statements: dict[str, str] = {}
    for path in (root / "usr/share/doc").glob("*/copyright"):
        statements[normal_name(path.parent.name)] = f"in /{path.relative_to(root)}"
    for path in (root / "app/.venv/lib/python3.11/site-packages").glob("*.dist-info"):
        metadata = Distribution.at(path).metadata
        names = [
            classifier.rpartition(" :: ")[2]
            for classifier in metadata.get_all("Classifier", ())
            if classifier.startswith("License :: ")
        ]
        texts = metadata.get_all("License-Expression") or metadata.get_all("License") or names
        if text := re.sub(r"\s+", " ", ", ".join(texts))[:60]:
            statements[normal_name(metadata["Name"])] = text
    return statements


def normal_name(name: str) -> str:
    """Return the canonical spelling of a package's name."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _run(command: list[str], **environment: str) -> None:
    try:
        subprocess.run(  # noqa: S603
            command,
            cwd=ROOT,
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            timeout=WITHIN_S,
            check=True,
        )
    except subprocess.CalledProcessError as error:
        raise EngineError(f"{Path(command[0]).name}: {error.stderr[-2000:]}") from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise EngineError(str(error)) from error
