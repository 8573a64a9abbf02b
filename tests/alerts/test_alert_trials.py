"""Alerts tried on series by promtool, Prometheus' own tool: `make alerts`."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

pytestmark = pytest.mark.apart

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
RULES = ROOT / "kuberay/components/monitoring/prometheusrule.yaml"
TIMEOUT_S = 60


def promtool(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    program = os.environ.get("PROMTOOL") or shutil.which("promtool")
    command = [program or str(ROOT / ".tools/promtool"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)


def try_rules(directory: Path, rules: str) -> subprocess.CompletedProcess[str]:
    """Try rules, as Prometheus reads them, on the series of alert_trials.yaml."""
    (directory / "rules.yaml").write_text(rules)
    trials = shutil.copy(HERE / "alert_trials.yaml", directory)
    return promtool("test", "rules", trials)


@pytest.fixture
def rules() -> str:
    return yaml.safe_dump(yaml.safe_load(RULES.read_text())["spec"])


def test_each_alert_fires_on_its_series_and_on_no_other(rules: str, tmp_path: Path) -> None:
    result = try_rules(tmp_path, rules)

    assert result.returncode == 0, result.stdout + result.stderr
    checked = promtool("check", "rules", "--lint=all", "--lint-fatal", tmp_path / "rules.yaml")
    assert checked.returncode == 0, checked.stdout + checked.stderr


def in_the_container(directory: Path) -> Path:
    """Copy the files that compose.yaml mounts into Prometheus; return the configuration's path."""
    service = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]["prometheus"]
    for source, path in (volume.split(":")[:2] for volume in service["volumes"]):
        if (ROOT / source).is_file():
            laid = directory / path.lstrip("/")
            laid.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / source, laid)
    (option,) = (
        argument for argument in service["command"] if argument.startswith("--config.file=")
    )
    return directory / option.partition("=/")[2]


def test_prometheus_finds_the_alerts_in_its_container(rules: str, tmp_path: Path) -> None:
    configuration = in_the_container(tmp_path)
    result = promtool("check", "config", configuration)
    alerts = yaml.safe_load(rules)["groups"][0]["rules"]

    assert result.returncode == 0, result.stdout + result.stderr
    assert f"SUCCESS: {len(alerts)} rules found" in result.stdout

    (configuration.parent / "alerts.yml").unlink()  # as if it were not mounted
    assert promtool("check", "config", configuration).returncode != 0


@pytest.mark.parametrize(
    ("right", "wrong"),
    [("> 0.02", "> 0.2"), ('status="STOPPED"', 'status="ENDED"'), ("== 1", ">= 0")],
)
def test_a_wrong_limit_or_label_is_told(rules: str, right: str, wrong: str, tmp_path: Path) -> None:
    assert right in rules
    assert try_rules(tmp_path, rules.replace(right, wrong)).returncode != 0
