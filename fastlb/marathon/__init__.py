"""Marathon over HTTP: reading apps, following events, logging in.

Data flows: `transfer` (libcurl) -> `http` (requests) -> `login`, `config`, `selector` -> `client` (apps, read
by `answers`) and `stream` (events). It must not know what an app or an event means; its names for the rest of
fastlb are the ones below.
"""

from __future__ import annotations

from fastlb.marathon.client import MarathonClient, Told
from fastlb.marathon.config import MarathonConfig
from fastlb.marathon.login import (
    BasicLogin,
    DcosLogin,
    Login,
    NoLogin,
    login_from_credential_file,
    login_from_user_pass,
    login_from_vault,
)
from fastlb.marathon.selector import Selector, selector_of
from fastlb.marathon.stream import EventStream
from fastlb.marathon.transfer import Tls

__all__ = [
    "BasicLogin",
    "DcosLogin",
    "EventStream",
    "Login",
    "MarathonClient",
    "MarathonConfig",
    "NoLogin",
    "Selector",
    "Tls",
    "Told",
    "login_from_credential_file",
    "login_from_user_pass",
    "login_from_vault",
    "selector_of",
]
