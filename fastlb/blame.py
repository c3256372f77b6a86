"""HAProxy's complaints about a document to the apps that caused them.

Lines belong to fragments, fragments to apps; where HAProxy names no line it names a proxy, and names belong to apps as
well. What is left, a complaint that points at nobody, is for whoever asks to find by halves. Pure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastlb.dialect import FRONTEND_SUFFIX

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fastlb.render import Rendering
    from fastlb.validation import Complaint


def culprits(complaints: Iterable[Complaint], rendering: Rendering) -> dict[str, str]:
    """Return the apps that fatal complaints point at, each with its first complaint in HAProxy's words."""
    owners: dict[str, str] | None = None
    blamed: dict[str, str] = {}
    for complaint in complaints:
        if not complaint.fatal:
            continue
        apps = rendering.apps_of_lines([complaint.line]) if complaint.line is not None else set()
        if not apps and complaint.names:
            owners = _owners_of_names(rendering) if owners is None else owners
            apps = {owners[name] for name in complaint.names if name in owners}
        for app_id in sorted(apps):
            blamed.setdefault(app_id, complaint.text)
    return blamed


def _owners_of_names(rendering: Rendering) -> dict[str, str]:
    owners: dict[str, str] = {}
    for service in rendering.services:
        for name in (service.backend, service.backend + FRONTEND_SUFFIX, f"user_{service.backend}"):
            owners[name] = service.app_id
    return owners
