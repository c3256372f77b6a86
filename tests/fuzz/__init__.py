"""Fuzz targets, one a file, and their oracles. `make fuzz` guides them by coverage; `test_replay` runs them always.

A target has ``SEEDS``, inputs worth starting from, and ``check(data)``, which raises for bytes that show a mistake.
"""
