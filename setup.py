"""Builds the one extension, ``fastlb._speedups``.

``FASTLB_BUILD_EXTENSION`` is the switch: ``0`` forbids the extension, ``1`` demands it (a failed build then fails
the installation). Unset: it is built where a C compiler works, and left out with a message where none does; which
one runs is logged at every start of fastlb.
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
    depends=sorted(map(str, Path("fastlb").glob("_speedups_*.pxi"))),
    optional=wish != "1",
    # -g0: what debuggers want is four times as big as the rest.
    extra_compile_args=["-O2", "-g0"],
)
setup(
    ext_modules=[] if wish == "0" else [speedups],
    cmdclass={"build_ext": BuildSpeedups},
)
