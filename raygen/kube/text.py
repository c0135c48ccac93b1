"""What nodes and registries say, fit to be shown to people who may not read secrets."""

from __future__ import annotations

import re


def scrubbed(text: str) -> str:
    """One line without what addresses may hold of secrets.

    These are a name and password before the host, and queries, in which a registry's stores put signatures.
    """
    text = re.sub(r"//[^\s\"'/@]+@", "//...@", " ".join(text.split()))
    return re.sub(r"\?[^\s\"']{8,}", "?...", text)
