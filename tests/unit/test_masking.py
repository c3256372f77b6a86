"""Passwords do not show, wherever they stand."""

from __future__ import annotations

import pytest

from fastlb.masking import masked, masked_label


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("userlist u\n  user me password $6$abc\n", "userlist u\n  user me password ***\n"),
        ("  user me insecure-password secret groups a", "  user me insecure-password *** groups a"),
        ("  stats auth admin:secret\n", "  stats auth admin:***\n"),
        ("\tuser a password x\n\tuser b password y", "\tuser a password ***\n\tuser b password ***"),
        ("  # no password here\n  server a 127.0.0.1:80\n", "  # no password here\n  server a 127.0.0.1:80\n"),
    ],
)
def test_of_a_configuration_only_passwords_are_hidden(text, shown):
    assert masked(text) == shown


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("HAPROXY_0_AUTH", "realm:user:secret", "realm:user:***"),
        ("HAPROXY_0_AUTH", "realm:user:se:cret", "realm:user:***"),
        ("HAPROXY_0_AUTH", "user:secret", "***"),
        ("HAPROXY_0_AUTH", "secret", "***"),
        ("haproxy_0_auths", "realm:user:secret", "realm:user:***"),
        ("HAPROXY_0_VHOST", "a:b:c", "a:b:c"),
        ("HAPROXY_0_USERLIST_HEAD", "userlist x\n  user me password secret\n", "userlist x\n  user me password ***\n"),
        ("HAPROXY_0_HTTP_FRONTEND_ACL_WITH_AUTH", "  acl a\n  use b\n", "  acl a\n  use b\n"),
    ],
)
def test_of_a_label_the_password_is_hidden(name, value, shown):
    assert masked_label(name, value) == shown
