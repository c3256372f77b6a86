"""Basic credentials, where they go and where not, and where they come from."""

from __future__ import annotations

import pytest

from fastlb.errors import CredentialsError, LoginError, MarathonUnreachable, UsageError
from fastlb.marathon import BasicLogin, NoLogin, Tls, login_from_credential_file, login_from_user_pass, login_from_vault
from tests.fakes.marathon_http import json_answer, protected, redirect
from tests.integration.marathon.parts import APPS, BASIC, BASIC_HEADER, PASSWORD


def test_basic_credentials_are_sent(marathon, client_of):
    marathon.answers[APPS] = protected(BASIC_HEADER, json_answer({"apps": []}))
    assert client_of(marathon.url, login=BASIC).apps() == []


def test_credentials_follow_a_redirect_to_another_server(marathon, other, client_of):
    marathon.answers[APPS] = redirect(other.url)
    other.answers[APPS] = protected(BASIC_HEADER, json_answer({"apps": []}))
    assert client_of(marathon.url, login=BASIC).apps() == []


def test_a_second_redirect_is_not_followed(marathon, other, client_of):
    marathon.answers[APPS] = redirect(other.url)
    other.answers[APPS] = redirect(marathon.url)
    with pytest.raises(MarathonUnreachable, match="redirected more than once"):
        client_of(marathon.url).apps()
    assert len(marathon.seen) == 1


def test_credentials_go_from_http_to_https(marathon, secure, ca_cert, client_of):
    marathon.answers[APPS] = redirect(secure.url)
    secure.answers[APPS] = protected(BASIC_HEADER, json_answer({"apps": []}))
    assert client_of(marathon.url, login=BASIC, ca_cert=ca_cert).apps() == []


def test_credentials_never_go_from_https_to_plain_http(marathon, secure, ca_cert, client_of):
    secure.answers[APPS] = redirect(marathon.url)
    with pytest.raises(MarathonUnreachable, match="redirected from https to plain http; not followed"):
        client_of(secure.url, login=BASIC, ca_cert=ca_cert).apps()
    assert marathon.seen == []


def test_a_certificate_that_nobody_vouches_for_is_refused(secure, client_of):
    secure.answers[APPS] = json_answer({"apps": []})
    with pytest.raises(MarathonUnreachable, match="certificate"):
        client_of(secure.url).apps()


def test_a_certificate_for_another_name_is_refused(secure, ca_cert, client_of):
    secure.answers[APPS] = json_answer({"apps": []})
    with pytest.raises(MarathonUnreachable, match=r"localhost:\d+: .*certificate"):
        client_of(secure.url.replace("127.0.0.1", "localhost"), ca_cert=ca_cert).apps()


def test_any_certificate_is_taken_when_verification_is_off(secure, client_of):
    secure.answers[APPS] = json_answer({"apps": []})
    assert client_of(secure.url, verify_tls=False).apps() == []


@pytest.mark.parametrize("text", ["", "user", "user:pa:ss"])
def test_credentials_need_exactly_one_colon(text):
    with pytest.raises(CredentialsError, match=r"^Please provide marathon credentials in user:pass format$"):
        login_from_user_pass(text)


def test_the_first_line_of_the_credential_file_counts(tmp_path):
    path = tmp_path / "credentials"
    path.write_text("user:pass\r\nmore\n")
    assert login_from_credential_file(path) == BasicLogin("user", "pass")
    path.write_text("\nuser:pass\n")
    assert login_from_credential_file(path) == NoLogin()


def test_a_credential_file_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(UsageError, match=r"nowhere cannot be read: No such file"):
        login_from_credential_file(tmp_path / "nowhere")


def vault_environment(url: str) -> dict[str, str]:
    rest = {"VAULT_HOST": "vault", "VAULT_PORT": "8200", "VAULT_PATH": "secret/lb"}
    return {"VAULT_TOKEN": "t0ken", "VAULT_URL": url, **rest}


def test_vault_is_asked_with_its_token(marathon):
    marathon.answers["/v1/secret/lb"] = json_answer({"data": {"user": "ops", "pass": PASSWORD}})
    assert login_from_vault(vault_environment(marathon.url + "/v1/secret/lb"), Tls()) == BASIC
    assert marathon.seen[0].headers["X-Vault-Token"] == "t0ken"


def test_vault_is_left_alone_unless_everything_is_set(marathon):
    environment = vault_environment(marathon.url)
    del environment["VAULT_PATH"]
    assert login_from_vault(environment, Tls()) == NoLogin()
    assert marathon.seen == []


def test_vault_is_found_by_host_port_and_path_without_a_url(secure, ca_cert):
    secure.answers["/v1/secret/lb"] = json_answer({"data": {"user": "ops", "pass": PASSWORD}})
    port = secure.url.rpartition(":")[2]
    environment = vault_environment("") | {"VAULT_HOST": "127.0.0.1", "VAULT_PORT": port}
    assert login_from_vault(environment, Tls(ca_cert)) == BASIC


@pytest.mark.parametrize("bad", [json_answer({"errors": []}, 403), json_answer({"data": {"user": "ops"}})])
def test_a_vault_without_the_secret_is_named(bad, marathon):
    marathon.answers["/v1/x"] = bad
    with pytest.raises(LoginError, match=r"/v1/x: HTTP \d+ without data.user and data.pass") as caught:
        login_from_vault(vault_environment(marathon.url + "/v1/x"), Tls())
    assert "t0ken" not in str(caught.value)
