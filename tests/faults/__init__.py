"""Faults under a steady load: real HAProxy, simulated Marathon, real requests; what failed, and for how long.

A short form runs by default, several faults at once, each with a cluster, a front door and a load of its own;
``FAULTS=long`` (or ``make faults``) asks for bigger clusters and faults that last, and writes docs/faults.md.
"""

import pytest

pytest.register_assert_rewrite(
    *(f"tests.faults.{name}" for name in "machine marathon processes stream versions".split())
)
