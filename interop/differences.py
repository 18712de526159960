"""Where implementations differ for a reason. Everything not listed here has to be the same in every pairing.

A row says: when `caller` uses an object of `owner` (patterns over peer names), `what` comes out as `outcome`. The first row
that fits counts. A new row needs a reason that holds in the protocol or the language, not merely in today's code.
"""

import fnmatch
from typing import Any, NamedTuple


class Difference(NamedTuple):
    what: str
    caller: str
    owner: str
    outcome: Any
    reason: str


DIFFERENCES = [
    Difference(
        what="the exception type that __exit__ sees after a ValueError",
        caller="*",
        owner="stock*",
        outcome="TypeError",
        reason="stock raises the reference it was sent, which is no exception; the resulting TypeError is what __exit__ gets",
    ),
]


def expected(what, pairing_side, otherwise):
    """What to expect of `what` when `pairing_side.caller` drives an object of `pairing_side.owner`."""
    for row in DIFFERENCES:
        fits = fnmatch.fnmatch(pairing_side.caller, row.caller) and fnmatch.fnmatch(pairing_side.owner, row.owner)
        if row.what == what and fits:
            return row.outcome
    return otherwise
