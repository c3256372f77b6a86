"""Memory that nobody needs goes back to the system."""

from __future__ import annotations

import ctypes
import subprocess
import sys

import pytest

LARGE_BLOCKS = """
import re
from pathlib import Path
from fastlb import garbage

def resident_mb():
    return int(re.search(r"VmRSS:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) / 1024

garbage.give_back_large_blocks()
for _ in range(3):
    before = resident_mb()
    block = b"x" * 20_000_000
    small = [bytes(2000 + number) for number in range(100)]
    del block
    print(resident_mb() - before)
"""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallopt"), reason="the C library is not glibc")
def test_a_large_block_is_given_back_each_time():
    said = subprocess.run([sys.executable, "-c", LARGE_BLOCKS], check=True, capture_output=True, text=True).stdout
    assert max(map(float, said.split())) < 5
