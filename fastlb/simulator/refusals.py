"""What Marathon answers when it does not do what it was asked: a status and a JSON body (MARATHON.md 6.3).

Raised by the pure rooms, turned into an HTTP answer by `manners`; a test that calls the cluster directly sees
the exception itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable


class Refusal(Exception):  # noqa: N818 - an answer of Marathon, not a mistake of ours
    """One error answer: ``status`` and the JSON object ``body``."""

    def __init__(self, status: int, message: str, **more: Any) -> None:
        super().__init__(f"{status} {message} {more or ''}".rstrip())
        self.status = status
        self.body: dict[str, Any] = {"message": message, **more}


class WrongType(Exception):  # noqa: N818 - the same
    """A member has the wrong JSON type; the status of the answer depends on the release."""

    def __init__(self, path: str, expected: str) -> None:
        super().__init__(f"{path}: error.expected.{expected}")
        self.details = [{"path": path, "errors": [f"error.expected.{expected}"]}]


def missing_app(app_id: str) -> Refusal:
    """404: there is no such app."""
    return Refusal(404, f"App '{app_id}' does not exist")


def missing_group(group_id: str) -> Refusal:
    """404: there is no such group."""
    return Refusal(404, f"Group '{group_id}' does not exist")


def missing_deployment(deployment_id: str) -> Refusal:
    """404: there is no such deployment."""
    return Refusal(404, f"DeploymentPlan {deployment_id} does not exist")


def existing_app(app_id: str) -> Refusal:
    """409: the id is in use."""
    return Refusal(409, f"An app with id [{app_id}] already exists.")


def locked(deployment_ids: Iterable[str]) -> Refusal:
    """409: another deployment holds the app; the placeholder in the text is Marathon's own."""
    return Refusal(
        409,
        "App is locked by one or more deployments. Override with the option '?force=true'. "
        "View details at '/v2/deployments/<DEPLOYMENT_ID>'.",
        deployments=[{"id": each} for each in deployment_ids],
    )


def invalid(path: str, error: str) -> Refusal:
    """422: the object parses, but Marathon does not accept it."""
    return Refusal(422, "Object is not valid", details=[{"path": path, "errors": [error]}])
