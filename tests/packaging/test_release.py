"""Release and deployment: the scripts that the workflows call."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NOTES = ROOT / ".github/release_notes.py"
UV = ROOT / ".tools/bin/uv"
# Debian 12, the base of the image, has glibc 2.36.
ARCHITECTURES = {"linux/amd64": "x86_64-manylinux_2_36", "linux/arm64": "aarch64-manylinux_2_36"}
OLD = "ghcr.io/acme/order-generation-service@sha256:" + "0" * 64
NEW = "ghcr.io/acme/order-generation-service@sha256:" + "1" * 64
PROJECT = '[project]\nversion = "1.2.0"\n'
CHANGELOG = """# Changelog

## [1.2.0] - 2026-11-30

### Added

- Households.

## [1.1.0] - 2026-11-01

- Blocks.
"""
# Renders with the real one what it is to apply; the image in $REFUSED is never ready.
REAL = Path(sys.executable).with_name("kubectl")
KUBECTL = f"""#!/usr/bin/env bash
case "$*" in
  get*image*) printf %s "$BEFORE" ;;
  get*generation*) printf 7 ;;
  apply*) [[ -z "$DENIED" ]] || exit 1
    {REAL} kustomize "$3" | grep -m 1 -o "ghcr.io.*" >> "$LOG" ;;
  wait*Ready*) [[ "$(tail -1 "$LOG")" != "$REFUSED" ]] ;;
esac
"""


def tree(directory: Path, project: str = PROJECT, changelog: str = CHANGELOG) -> Path:
    (directory / ".github").mkdir()
    (directory / "pyproject.toml").write_text(project)
    (directory / "CHANGELOG.md").write_text(changelog)
    script = directory / ".github/release_notes.py"
    script.write_text(NOTES.read_text())
    return script


def run(*command: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, **environment},
    )


def test_the_notes_of_a_release_are_its_section_of_the_changelog(tmp_path: Path) -> None:
    result = run(sys.executable, tree(tmp_path), "v1.2.0")
    assert (result.returncode, result.stdout) == (0, "### Added\n\n- Households.\n")


@pytest.mark.parametrize(
    ("tag", "changelog", "reason"),
    [
        ("v1.3.0", CHANGELOG, "the tag v1.3.0 is not v1.2.0, the version in pyproject.toml"),
        ("1.2.0", CHANGELOG, "the tag 1.2.0 is not v1.2.0, the version in pyproject.toml"),
        ("v1.2.0", CHANGELOG.replace("1.2.0", "1.3.0"), "1.2.0 has no section in CHANGELOG.md"),
        (
            "v1.2.0",
            CHANGELOG.replace("2026-11-30", "Unreleased"),
            "1.2.0 in CHANGELOG.md is dated 'Unreleased'",
        ),
        (
            "v1.2.0",
            CHANGELOG.replace("### Added\n\n- Households.\n", ""),
            "1.2.0 has no entries in CHANGELOG.md",
        ),
    ],
)
def test_a_release_that_the_tree_does_not_describe_is_refused_in_one_line(
    tmp_path: Path, tag: str, changelog: str, reason: str
) -> None:
    result = run(sys.executable, tree(tmp_path, changelog=changelog), tag)
    assert (result.returncode, result.stderr) == (1, f"release: {reason}\n")


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Environment with a kubectl that records its calls and renders with the real one."""
    (tmp_path / "kubectl").write_text(KUBECTL)
    (tmp_path / "kubectl").chmod(0o755)
    return {
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "LOG": str(tmp_path / "log"),
        "BEFORE": OLD,
        "REFUSED": "",
        "DENIED": "",
    }


def images(environment: dict[str, str]) -> list[str]:
    """List the images that were applied."""
    return Path(environment["LOG"]).read_text().splitlines()


@pytest.mark.parametrize("name", ["staging", "production"])
def test_a_deployment_applies_the_image_of_a_digest(environment: dict[str, str], name: str) -> None:
    result = run(ROOT / ".github/deploy", name, NEW, **environment)
    assert (result.returncode, result.stderr) == (0, "")
    assert images(environment) == [NEW]
    assert list((ROOT / "kuberay").glob(".deploy*")) == []


def test_a_deployment_that_does_not_become_ready_goes_back_to_the_image_of_before(
    environment: dict[str, str],
) -> None:
    result = run(ROOT / ".github/deploy", "staging", NEW, **{**environment, "REFUSED": NEW})
    assert result.returncode == 1
    assert result.stderr == f"deploy: {NEW} did not become ready; back to {OLD}\n"
    assert images(environment) == [NEW, OLD]


def test_a_first_deployment_that_fails_has_nothing_to_go_back_to(
    environment: dict[str, str],
) -> None:
    variables = {**environment, "BEFORE": "", "REFUSED": NEW}
    result = run(ROOT / ".github/deploy", "staging", NEW, **variables)
    assert (result.returncode, images(environment)) == (1, [NEW])


def test_a_deployment_that_the_cluster_denies_fails(environment: dict[str, str]) -> None:
    variables = {**environment, "BEFORE": "", "DENIED": "yes"}
    result = run(ROOT / ".github/deploy", "staging", NEW, **variables)
    assert (result.returncode, Path(environment["LOG"]).exists()) == (1, False)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("staging", "ghcr.io/acme/order-generation-service:0.1.0"), "names no digest"),
        (("nowhere", NEW), "no overlay nowhere"),
    ],
)
def test_a_deployment_of_a_tag_or_to_nowhere_is_refused(
    environment: dict[str, str], arguments: tuple[str, str], reason: str
) -> None:
    result = run(ROOT / ".github/deploy", *arguments, **environment)
    assert result.returncode == 2
    assert reason in result.stderr


def install_wheels(platform: str, environment: Path) -> subprocess.CompletedProcess[str]:
    """Resolve the packages that the image installs on a platform, from wheels alone."""
    extras = ("--extra", "serve", "--extra", "embedded")
    command = (UV, "sync", "--frozen", "--no-dev", *extras, "--no-build", "--no-install-project")
    return run(
        *(*command, "--dry-run", "--python-platform", platform, "--project", ROOT),
        UV_PROJECT_ENVIRONMENT=str(environment),
    )


def test_every_package_of_the_image_has_a_wheel_for_its_architectures(tmp_path: Path) -> None:
    workflow = (ROOT / ".github/workflows/release.yml").read_text()
    (released,) = re.findall(r"docker buildx build --platform (\S+)", workflow)

    for architecture in released.split(","):
        result = install_wheels(ARCHITECTURES[architecture], tmp_path / "environment")
        assert result.returncode == 0, result.stderr
        assert re.search(r"Would install \d{2,} packages", result.stderr)


def test_a_platform_without_wheels_is_told(tmp_path: Path) -> None:
    result = install_wheels("aarch64-unknown-linux-musl", tmp_path / "environment")

    assert result.returncode != 0
    # By words, because uv breaks its lines at the width of the terminal.
    assert "has no binary distribution" in " ".join(result.stderr.split())
