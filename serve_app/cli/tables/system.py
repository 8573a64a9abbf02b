"""Tables of the state and the settings of a service."""

from rich.table import Table

from serve_app.cli.output import make_table
from serve_app.client.responses.system import System


def tabulate_system(system: System) -> Table:
    """Tabulate the parts of the service, the circuits to the upstreams, and what is simulated."""
    health = system.health
    rows = [
        ("model rules", system.model_rules),
        ("auth", system.auth),
        *health.checks.items(),
        *((f"circuit to {name}", state) for name, state in health.breakers.items()),
        ("simulated", ", ".join(health.simulated) or "nothing"),
        ("event streams", "{open:,} of {most:,}".format(**system.event_streams)),
    ]
    return make_table(f"Version {system.version}, {health.status}", ("part", "state"), rows)


def tabulate_settings(state: System) -> Table:
    """Tabulate the settings by name."""
    rows = [(name, _format_setting(value)) for name, value in state.settings.items()]
    return make_table("Settings", ("setting", "value"), rows)


def _format_setting(value: object) -> str:
    return "" if value is None else str(value)
