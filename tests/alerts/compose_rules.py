"""Write the alerts for one service without nodes: `python -m tests.alerts.compose_rules`."""

import textwrap
from pathlib import Path

ROOT = Path(__file__).parents[2]
MANIFEST = ROOT / "kuberay/components/monitoring/prometheusrule.yaml"
RULES = ROOT / "compose/alerts.yml"
HEAD = (
    "# Written by `python -m tests.alerts.compose_rules` from the manifest beside the dashboards.\n"
)


def rules_of_the_manifest() -> str:
    """Return the groups above those for clusters only as a rule file, with their comments."""
    spec = MANIFEST.read_text().partition("\nspec:\n")[2]
    return HEAD + textwrap.dedent(spec.partition("    # Of clusters alone")[0])


if __name__ == "__main__":
    RULES.write_text(rules_of_the_manifest())
