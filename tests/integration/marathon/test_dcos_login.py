"""Logging in to DC/OS."""

from __future__ import annotations

from typing import Any

import pytest

from fastlb.errors import LoginError, UsageError
from fastlb.marathon import DcosLogin
from tests.fakes.marathon_http import answer, json_answer, silence
from tests.integration.marathon.parts import APPS, AppAnswers, apps_by_id, as_found, path_of, serve


def test_a_dcos_token_is_bought_once_and_used_again(dcos, client_of):
    dcos.allow(APPS, json_answer({"apps": []}), 1)
    client = client_of(dcos.fake.url, login=DcosLogin(dcos.credential()))
    client.apps()
    client.apps()
    assert dcos.issued == 1


def test_a_dcos_token_is_renewed_on_a_401_and_the_request_repeated(dcos, client_of):
    dcos.allow(APPS, json_answer({"apps": []}), 2)
    assert client_of(dcos.fake.url, login=DcosLogin(dcos.credential())).apps() == []
    assert dcos.issued == 2


def test_a_token_refused_for_many_apps_is_renewed_once_and_only_those_are_asked_for_again(dcos, client_of):
    app_ids = serve(dcos.fake, 20)
    for app_id in app_ids[5:]:
        dcos.allow(path_of(app_id), dcos.fake.answers[path_of(app_id)], 2)
    client = client_of(dcos.fake.url, login=DcosLogin(dcos.credential()))
    assert apps_by_id(client, app_ids) == AppAnswers(as_found(app_ids), {})
    assert dcos.issued == 2
    assert client.requests == 2 + 20 + 15


def test_a_login_that_fails_on_the_way_loses_no_app_that_was_read(dcos, other, client_of):
    app_ids = serve(dcos.fake, 20)
    log_in = dcos.fake.answers["/acs/api/v1/auth/login"]

    def once(handler: Any) -> None:
        (answer(b"", 503) if dcos.issued else log_in)(handler)

    dcos.fake.answers["/acs/api/v1/auth/login"] = once
    dcos.allow(path_of(app_ids[4]), silence, 2)
    answers = apps_by_id(client_of(dcos.fake.url, other.url, login=DcosLogin(dcos.credential())), app_ids)
    assert answers.found == as_found([app_id for app_id in app_ids if app_id != app_ids[4]])
    assert list(answers.failed) == [app_ids[4]]
    assert "/auth/login: HTTP 503 without a token" in answers.failed[app_ids[4]]


def test_a_dcos_token_is_renewed_shortly_before_its_end(dcos, client_of, monkeypatch):
    dcos.allow(APPS, json_answer({"apps": []}), 1, 2)
    client = client_of(dcos.fake.url, login=DcosLogin(dcos.credential()))
    monkeypatch.setattr("fastlb.marathon.login.RENEW_BEFORE_END_S", 3600)
    client.apps()
    client.apps()
    assert dcos.issued == 2


def test_a_refused_dcos_login_is_a_login_error(dcos, client_of):
    dcos.fake.answers["/acs/api/v1/auth/login"] = json_answer({"title": "no"}, 401)
    with pytest.raises(LoginError, match=r"/auth/login: HTTP 401 without a token"):
        client_of(dcos.fake.url, login=DcosLogin(dcos.credential())).apps()


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("{", "no JSON"),
        ('{"uid": "u", "login_endpoint": "http://x"}', "lacks private_key"),
        ('{"uid": "u", "login_endpoint": "http://x", "private_key": "SECRET"}', "no RSA key"),
    ],
)
def test_a_dcos_credential_that_cannot_work_is_refused_at_once(text, complaint):
    with pytest.raises(UsageError, match=complaint) as caught:
        DcosLogin(text)
    assert "SECRET" not in str(caught.value)
