"""The exception tree and the exit codes.

Every error that a person may read says what was wrong, where, and what fastlb did about it. A leaf of this tree is
made where something else has to be done about it, and nowhere else.
"""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """How the process ends (COMPAT.md 2.2)."""

    OK = 0
    FAILED = 1
    USAGE = 2


class FastlbError(Exception):
    """Anything that fastlb itself reports."""


class UsageError(FastlbError):
    """The command line, an environment variable or a global template cannot be used; fastlb does not start."""


class CredentialsError(FastlbError):
    """Credentials for Marathon that are not of the form user:pass; fastlb does not start."""


class MarathonError(FastlbError):
    """Marathon could not be asked, or its answer cannot be used; the last good state stays."""


class MarathonUnreachable(MarathonError):  # noqa: N818 - it names a state, not a mistake
    """No endpoint of the list answered; the message names each one with its reason."""


class MarathonAnswerError(MarathonError):
    """An endpoint answered something that is no apps document: an error status, HTML, half a JSON."""


class LoginError(MarathonError):
    """DC/OS or Vault refused the login, or could not be asked."""


class AppError(FastlbError):
    """One app cannot be read; it is left out and nothing else is."""


def bug(error: Exception) -> str:
    """Return what to say of an app on which fastlb itself fails, so that it costs that app and nobody else."""
    return f"fastlb fails on it ({type(error).__name__}: {error}); please report this"


class ServiceError(FastlbError):
    """One service of one app cannot be used; it is left out and nothing else is."""


class TemplateError(FastlbError):
    """A template cannot be compiled or filled in; the message names the placeholder."""


class HAProxyError(FastlbError):
    """HAProxy could not be found, started, asked or reloaded."""


class HAProxyNotFound(HAProxyError):  # noqa: N818 - it names a state, not a mistake
    """There is no HAProxy to run; the message says where it was looked for."""


class HAProxyTooOld(HAProxyError):  # noqa: N818 - it names a state, not a mistake
    """The HAProxy found is older than fastlb can work with."""


class RuntimeApiError(HAProxyError):
    """A socket of HAProxy did not answer, or answered something that its command never answers."""


class PublishError(FastlbError):
    """A file could not be written; what stood in its place before still stands there."""
