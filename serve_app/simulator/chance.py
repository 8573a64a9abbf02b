"""seeded: the only source of chance in the simulated market."""

from random import Random


def make_random(*parts: object) -> Random:
    """A generator that depends on these parts alone."""
    return Random("/".join(map(str, parts)))  # noqa: S311 - a simulation
