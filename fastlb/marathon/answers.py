"""An answer of Marathon to the JSON that was asked for, or in words why it is none.

It must not know what an app is. Anything but 200 with the right document is no answer, so that a broken endpoint
never hides a working one; only a 404 about a single app says something: that there is none.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import orjson

from fastlb.errors import MarathonAnswerError
from fastlb.marathon.http import named_status

if TYPE_CHECKING:
    from fastlb.marathon.http import Answer


def all_apps(answer: Answer) -> list[dict[str, Any]]:
    """The elements of `apps`. Raises MarathonAnswerError."""
    apps = _document(answer).get("apps")
    if not isinstance(apps, list) or not all(isinstance(app, dict) for app in apps):
        raise MarathonAnswerError("answered JSON without a list of apps")
    if apps and not any(isinstance(app.get("id"), str) for app in apps):
        raise MarathonAnswerError("answered a list of apps of which none has an id")
    return apps


def one_app(answer: Answer) -> dict[str, Any] | None:
    """The app, None when Marathon has none of that id (MARATHON.md 1.3). Raises MarathonAnswerError."""
    if answer.status == HTTPStatus.NOT_FOUND:
        return None
    app = _document(answer).get("app")
    if not isinstance(app, dict):
        raise MarathonAnswerError("answered JSON without an app")
    return app


def _document(answer: Answer) -> dict[str, Any]:
    """The JSON object that a good answer holds."""
    if answer.status != HTTPStatus.OK:
        raise MarathonAnswerError(named_status(answer.status))
    try:
        document = orjson.loads(answer.body)
    except orjson.JSONDecodeError as error:
        raise MarathonAnswerError(_why_no_json(answer.body, error)) from None
    if not isinstance(document, dict):
        raise MarathonAnswerError("answered JSON that is no object")
    return document


def _why_no_json(body: bytes | bytearray, error: orjson.JSONDecodeError) -> str:
    size = f"({len(body)} bytes)"
    if not body.strip():
        return "an empty answer"
    if body.lstrip().startswith(b"<"):
        return f"answered HTML {size}"
    if "end of data" in error.msg:
        return f"half a JSON {size}"
    return f"broken JSON {size}: {error.msg}"
