"""The user that HAProxy's workers become, looked up on this machine."""

from __future__ import annotations

import grp
import os
import pwd
from typing import NamedTuple

from fastlb.errors import UsageError


class User(NamedTuple):
    """A user of this machine, with the name of the user's own group."""

    name: str
    group: str
    uid: int


def find_user(name: str | None) -> User | None:
    """Return the user of this name, None without one. Raises UsageError if HAProxy cannot become that user."""
    if name is None:
        return None
    if os.geteuid() != 0:
        raise UsageError(f"--haproxy-user {name}: only root can have HAProxy become another user")
    try:
        user = pwd.getpwnam(name)
        return User(user.pw_name, grp.getgrgid(user.pw_gid).gr_name, user.pw_uid)
    except KeyError as error:
        raise UsageError(f"--haproxy-user {name}: there is no such user, or it has no group") from error
