"""Chooses between the compiled hot path and its pure-Python twin, once per process.

``FASTLB_PURE_PYTHON=1`` demands the twin. Which one runs is `CHOSEN`, and every start of fastlb logs it.
"""

from __future__ import annotations

import os

PURE_SWITCH = "FASTLB_PURE_PYTHON"

if os.environ.get(PURE_SWITCH, "") not in {"", "0"}:
    from fastlb import _native as _twin

    CHOSEN = f"pure Python ({PURE_SWITCH} is set)"
else:
    try:
        from fastlb import _speedups as _twin  # type: ignore[no-redef]

        CHOSEN = "compiled"
    except ImportError as error:
        from fastlb import _native as _twin

        CHOSEN = f"pure Python (the compiled one cannot be loaded: {error})"

EventCutter = _twin.EventCutter
check_values = _twin.check_values
clean = _twin.clean
cookie = _twin.cookie
enter = _twin.enter
entry_hash = _twin.entry_hash
fill = _twin.fill
fill_each = _twin.fill_each
host_names = _twin.host_names
is_ipv4 = _twin.is_ipv4
map_text = _twin.map_text
object_end = _twin.object_end
outline = _twin.outline
plain_part = _twin.plain_part
plain_services = _twin.plain_services
read_app = _twin.read_app
server_id = _twin.server_id
server_lines = _twin.server_lines
server_name = _twin.server_name
server_values = _twin.server_values
service_values = _twin.service_values
services_of = _twin.services_of
table_hash = _twin.table_hash
