"""Passwords and keys in addresses, which no error, tag or file of ours repeats."""

import re

USER = re.compile(r"(\b[a-zA-Z][\w+.-]*://)(?:[^\s/:@]*:(?!\d{1,5}(?:[/\s?#]|$))\S*|[^\s/:@]+)@")
"""Scheme and user of an address: a name, or a name and a password, which may hold any character. A port is none."""
QUERY = re.compile(r"(?i)([?&][\w.-]*(?:password|passwd|secret|token|signature|credential|key)[\w.-]*=)[^&\s'\"]+")


def masked(text: str) -> str:
    """The text without what opens the addresses in it: scheme://***@host/path?token=***."""
    return QUERY.sub(r"\1***", USER.sub(r"\1***@", text))
