#!/usr/bin/env python3
"""marathon-lb's name for ``fastlb zdd``, also called bluegreen_deploy.py; any Python may run it."""

import os
import sys

PYTHON = "/opt/fastlb/bin/python"
os.execv(PYTHON, [PYTHON, "-m", "fastlb", "zdd", *sys.argv[1:]])  # noqa: S606 - no shell is meant
