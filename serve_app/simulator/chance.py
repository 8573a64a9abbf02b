"""Chance: the only random generator of the simulated market, from a seed."""

from random import Random


def make_random(*parts: object) -> Random:
    """Make a generator that depends on these parts alone."""
    return Random("/".join(map(str, parts)))  # noqa: S311 - a simulation
