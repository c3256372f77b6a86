"""How the word of a flag becomes its value: one function for each kind of value.

Pure. Each takes the text as it was written and returns the value, or raises argparse.ArgumentTypeError, whose sentence
argparse shows behind the flag's name.
"""

from __future__ import annotations

import argparse
from ipaddress import ip_address

COMPATIBLE, FIRST = "compatible", "first"
MOST_THREADS = 1024


def seconds(text: str) -> float:
    """Read a number of seconds, 0 or more. Raises argparse.ArgumentTypeError."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < 1e9:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds")
    return value


def share(text: str) -> float:
    """Read a part of a whole, from 0 to 1. Raises argparse.ArgumentTypeError."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no share from 0 to 1")
    return value


def port(text: str) -> int:
    """Read a TCP port. Raises argparse.ArgumentTypeError."""
    if not text.isdigit() or not 1 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is no port from 1 to 65535")
    return int(text)


def count(text: str) -> int:
    """Read a number that is 0 or more. Raises argparse.ArgumentTypeError."""
    if not text.isdigit():
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 0 on")
    return int(text)


def threads(text: str) -> int:
    """Read a number of threads, from 0 to 1024, the range of libprocess. Raises argparse.ArgumentTypeError."""
    if not text.isdigit() or int(text) > MOST_THREADS:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of threads from 0 to {MOST_THREADS}")
    return int(text)


def address(text: str) -> str:
    """Read an IP address, or ``*``. Raises argparse.ArgumentTypeError."""
    if text != "*":
        try:
            ip_address(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text!r} is no IP address") from None
    return text


def positive(text: str) -> int:
    """Read a number that is 1 or more. Raises argparse.ArgumentTypeError."""
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1 on")
    return int(text)


def log_place(text: str) -> str:
    """Read where HAProxy logs to. Raises argparse.ArgumentTypeError."""
    if text not in {"syslog", "stdout", "none"}:
        raise argparse.ArgumentTypeError(f"{text!r} is none of syslog, stdout and none")
    return text


def way_with_conflicts(text: str) -> str:
    """Read what to do about apps that ask for the same. Raises argparse.ArgumentTypeError."""
    if text not in {COMPATIBLE, FIRST}:
        raise argparse.ArgumentTypeError(f"{text!r} is neither {COMPATIBLE} nor {FIRST}")
    return text


def word(text: str) -> str:
    """Read a text without blanks or control characters. Raises argparse.ArgumentTypeError."""
    if not text or len(text.split()) != 1 or not text.isprintable():
        raise argparse.ArgumentTypeError(f"{text!r} is not one word")
    return text


def form(text: str) -> str:
    """Read a form of output. Raises argparse.ArgumentTypeError."""
    if text not in {"text", "json"}:
        raise argparse.ArgumentTypeError(f"{text!r} is neither text nor json")
    return text
