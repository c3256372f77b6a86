"""No credential is ever said."""

from __future__ import annotations

import logging

import pytest

from fastlb.errors import MarathonUnreachable, UsageError
from fastlb.marathon import DcosLogin, MarathonConfig
from fastlb.marathon.transfer import Request
from tests.fakes.marathon_http import answer, eventually, json_answer
from tests.integration.marathon.parts import APPS, BASIC, BASIC_HEADER, EVENTS, PASSWORD


def test_credentials_appear_in_no_log_message_or_repr(marathon, other, dcos, follow, client_of, caplog):
    caplog.set_level(logging.DEBUG)
    marathon.answers[APPS] = marathon.answers[EVENTS] = answer(b"", 401)
    other.answers[APPS] = json_answer({"apps": []})
    followed = follow(marathon.url, login=BASIC)
    eventually(lambda: len(followed.messages) > 1)
    client_of(marathon.url, other.url, login=BASIC).apps()
    with pytest.raises(MarathonUnreachable) as caught:
        client_of(marathon.url, login=BASIC).apps()
    login = DcosLogin(dcos.credential())
    with pytest.raises(MarathonUnreachable) as refused:
        client_of(marathon.url, login=login).apps()
    shown = [caplog.text, str(caught.value), str(refused.value), repr(followed.messages)]
    shown += [repr(MarathonConfig((marathon.url,), login=it)) for it in (BASIC, login)]
    shown += [repr(Request("http://x", (), BASIC.headers(None)))]
    secrets = [PASSWORD, BASIC_HEADER.removeprefix("Basic "), "token-1", "PRIVATE KEY"]
    assert [secret for secret in secrets if any(secret in text for text in shown)] == []
    assert "HTTP 401" in caplog.text


def test_a_url_with_credentials_is_refused_without_repeating_them():
    with pytest.raises(UsageError, match="URL of host carries credentials") as caught:
        MarathonConfig((f"http://ops:{PASSWORD}@host:8080",))
    assert PASSWORD not in str(caught.value)


@pytest.mark.parametrize("urls", [(), ("marathon:8080",), ("ftp://marathon",), ("http://",)])
def test_urls_that_cannot_be_asked_are_refused(urls):
    with pytest.raises(UsageError):
        MarathonConfig(urls)
