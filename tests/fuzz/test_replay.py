"""Every fuzz target's oracle on its seeds, on mutations of these and on drawn bytes: always, and the same each time."""

from __future__ import annotations

import random
from importlib import import_module

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz.runner import TARGETS

ROUNDS = {"apps": 300, "answers": 200}
MANY = 2000
every_target = pytest.mark.parametrize("name", TARGETS)


def check_of(name):
    target = import_module(f"tests.fuzz.target_{name}")
    return target.check, list(target.SEEDS)


def mutated(chance, seeds):
    """Change a few bytes of a seed: others in their place, some out, some twice, a piece of another seed."""
    data = bytearray(chance.choice(seeds))
    for _ in range(chance.randint(1, 6)):
        at, length = chance.randint(0, len(data)), chance.randint(0, 8)
        new = [chance.randbytes(length), b"", data[at : at + length] * 2, chance.choice(seeds)[at : at + length * 4]]
        data[at : at + chance.randint(0, length)] = chance.choice(new)
    return bytes(data)


@every_target
def test_no_seed_shows_a_mistake(name):
    check, seeds = check_of(name)
    for seed in seeds:
        check(seed)


@every_target
def test_no_mutation_of_a_seed_shows_a_mistake(name):
    check, seeds = check_of(name)
    chance = random.Random(name)
    for _ in range(ROUNDS.get(name, MANY)):
        check(mutated(chance, seeds))


@every_target
def test_no_drawn_bytes_show_a_mistake(name):
    check, _ = check_of(name)
    settings(max_examples=ROUNDS.get(name, 500) // 2, deadline=None)(given(st.binary(max_size=200))(check))()
