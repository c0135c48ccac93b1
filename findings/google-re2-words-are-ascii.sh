#!/usr/bin/env bash
# google-re2, a drop-in replacement for re by its own words, takes letters beyond ASCII for signs.
#
# A filter of texts whose pattern has \w, \d, \s or \b finds less, and other words, than the same pattern of Python's: \w+ finds
# "ber" in "über", and \bk finds a word that begins inside "ék". The list of known differences in the package's own text has \Z alone.
# Versions: google-re2 1.1.20251105.
# Source: RE2's page on its syntax says of each class that it is ASCII; the package's list of differences from Python does not.
# raygen: docs/moderation.md says so beside the filters of the type Pattern, and names \pL and \pN
# (raygen/moderation/filters/patterns.py).
set -euo pipefail
. "$(dirname "$0")/lib.sh"

packages google-re2==1.1.20251105
look <<'PY'
import re

import re2
from verdict import verdict

patterns = [(r"\w+", "über"), (r"\bk", "ék"), (r"\d", "٣"), (r"\s", "\u00a0")]


def found(module):
    return [[match.group() for match in module.finditer(pattern, text)] for pattern, text in patterns]


verdict(
    expected=str(found(re)),
    seen=str(found(re2)),
    holds=found(re2) == [["ber"], ["k"], [], []] and "\\w" not in (re2.__doc__ or ""),
)
PY
