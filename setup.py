"""Builds the one extension, ``fastlb._speedups``.

``FASTLB_BUILD_EXTENSION`` is the switch: ``0`` forbids the extension, ``1`` demands it (a failed build then fails
the installation). Unset: it is built where a C compiler works, and left out with a message where none does; which
one runs is logged at every start of fastlb.

``FASTLB_SANITIZE=1`` builds it with AddressSanitizer and UBSan, for tests alone; `make sanitize` sets it. It runs only
in a Python that was started with the sanitizers loaded before it.
"""

from __future__ import annotations

import os
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

SWITCH = "FASTLB_BUILD_EXTENSION"
wish = os.environ.get(SWITCH, "")
if wish not in {"", "0", "1"}:
    raise SystemExit(f"{SWITCH}={wish!r}: 0 forbids the extension, 1 demands it, unset builds it where possible")

sanitize = os.environ.get("FASTLB_SANITIZE", "") == "1"
CHECKS = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
# -g0: what debuggers want is four times as big as the rest.
COMPILE = ["-O1", "-g", "-fno-omit-frame-pointer", *CHECKS] if sanitize else ["-O2", "-g0"]


class BuildSpeedups(build_ext):
    """Treats Cython's warnings as errors, and says in plain words why a demanded build failed."""

    def finalize_options(self) -> None:
        """Make every warning of the Cython compiler fail the build."""
        from Cython.Compiler import Options

        Options.warning_errors = True
        super().finalize_options()

    def build_extension(self, ext: Extension) -> None:
        """Build ``ext``; without the switch a failure leaves the pure-Python twin in charge."""
        try:
            super().build_extension(ext)
        except Exception as error:
            if wish == "1":
                raise SystemExit(f"{SWITCH}=1, but fastlb._speedups cannot be built: {error}") from error
            print(f"fastlb: continuing without the compiled hot path: {error}")


speedups = Extension(
    "fastlb._speedups",
    ["fastlb/_speedups.pyx"],
    # Built anew when one of these changes; a source distribution holds them because they are named here.
    depends=sorted(str(path) for kind in ("pxi", "h") for path in Path("fastlb").glob(f"_speedups_*.{kind}")),
    optional=wish != "1",
    extra_compile_args=COMPILE,
    extra_link_args=CHECKS if sanitize else [],
)
if sanitize:
    # No index, no None and no view is taken on trust, whatever the source says of it.
    speedups.cython_directives = dict.fromkeys(["boundscheck", "wraparound", "nonecheck", "initializedcheck"], True)
setup(
    ext_modules=[] if wish == "0" else [speedups],
    cmdclass={"build_ext": BuildSpeedups},
)
