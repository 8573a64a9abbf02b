"""Build the image and its bill of materials, for `make image`.

    python -m container.build

Environment: ENGINE (docker, podman, buildah, own) instead of the first that works; BASE, an image,
instead of the pinned one; EXTRAS, as in the Dockerfile; TAG instead of the version of the project.
"""

import os
import shutil
import sys
import tomllib
from pathlib import Path
from typing import Final

from container.base_image import choose_base
from container.bill_of_materials import write_bill
from container.engine import ROOT, STATE, Engine, EngineError, PrerequisiteError
from container.engines import find_engine

IMAGE: Final = "order-generation-service"
BILL: Final = ROOT / "dist/image"


def main() -> int:
    """Build with what this machine has; return an exit code."""
    try:
        with find_engine(os.environ.get("ENGINE", "")) as engine:
            build(engine)
    except (PrerequisiteError, EngineError) as error:
        sys.stderr.write(f"image: {error}\n")
        return 2 if isinstance(error, PrerequisiteError) else 1
    return 0


def build(engine: Engine) -> None:
    """Build the image, and write its bill of materials to dist/image."""
    base, image = choose_base(engine, os.environ.get("BASE", "")), image_name()
    arguments = ["--build-arg", f"EXTRAS={os.environ.get('EXTRAS', '')}", "--tag", image]
    if "@" not in base:
        arguments += ["--build-arg", f"PYTHON_IMAGE={base}"]
    engine.build(arguments, ROOT)
    STATE.mkdir(parents=True, exist_ok=True)
    write_bill(file_system(engine), version(), BILL)
    sys.stderr.write(
        f"image: {image} on {base}, by {engine.name}; "
        f"bill of materials in {BILL.relative_to(ROOT)}\n"
    )


def version() -> str:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]


def image_name() -> str:
    return f"{IMAGE}:{os.environ.get('TAG') or version()}"


def file_system(engine: Engine) -> Path:
    """Return a directory with the files of the image, exported once for each image."""
    number = engine.read_id(image_name())
    root, marker = STATE / "root", STATE / "root.id"
    if not (root.exists() and marker.exists() and marker.read_text() == number):
        marker.unlink(missing_ok=True)
        shutil.rmtree(root, ignore_errors=True)
        engine.export(image_name(), root)
        marker.write_text(number)
    return root


def file_system_of_last_build() -> Path | None:
    """Return the files of the image that was built last; None if there are none."""
    return STATE / "root" if (STATE / "root.id").exists() else None


if __name__ == "__main__":
    sys.exit(main())
