#!/usr/bin/env python3
"""marathon-lb's name for ``fastlb sse`` and ``fastlb poll --once``; any Python may run it."""

import os
import sys

PYTHON = "/opt/fastlb/bin/python"
os.execv(PYTHON, [PYTHON, "-m", "fastlb.entry", "marathon_lb.py", *sys.argv[1:]])  # noqa: S606 - no shell is meant
