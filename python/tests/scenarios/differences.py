"""Where an outcome depends on who runs a scenario, for a reason. Everything else has to be the same in every pairing.

A row says: with these implementations of the client and of the server (patterns), ``what`` comes out as ``outcome``. The first
row that fits counts.
"""

import fnmatch
from typing import Any, NamedTuple


class Difference(NamedTuple):
    """A row about a scenario."""

    what: str
    client: str
    server: str
    outcome: Any
    reason: str


DIFFERENCES = [
    Difference("whether dir() lists what is not exposed", "*", "netref", False, "a peer is told of what it may have"),
    Difference(
        "whether closing a server ends the connections of this kind",
        "*",
        "netref",
        True,
        "a stock pool forgets its clients, and so leaves their connections open when it is closed",
    ),
    Difference(
        "what __exit__ of a remote object sees",
        "*",
        "netref",
        "ValueError",
        "stock raises the reference that it was sent, which is no exception, so that __exit__ gets a TypeError",
    ),
]


def expected(what, client, server, otherwise):
    """What to expect of ``what``."""
    for row in DIFFERENCES:
        if row.what == what and fnmatch.fnmatch(client, row.client) and fnmatch.fnmatch(server, row.server):
            return row.outcome
    return otherwise


class ProbeDifference(NamedTuple):
    """A row about :mod:`scenarios.probes`: these expressions may have another outcome for these objects (None: for any)."""

    client: str
    server: str
    expressions: list
    objects: list | None
    reason: str


_BUILTIN = "list dict set bytearray iterator generator memoryview object mappingproxy".split()

PROBE_DIFFERENCES = [
    ProbeDifference(
        "netref",
        "*",
        [
            "callable(p)",
            *"p() p(1) p(self=1) p(wrong=1) decorate(p)".split(),
            "p(1, 2, 3, third=4, fourth=5)",
            "functools.partial(p, 1)(2)",
            "inspect.signature(p)",
            "threading.Thread(target=p).run()",
            "rpyc.async_(p)",
            "rpyc.async_(p)(1).value",
            "rpyc.timed(p, 5)(1).value",
        ],
        _BUILTIN,
        "a proxy is callable only if what it stands for is: stock gives proxies of list() what list can do",
    ),
    ProbeDifference(
        "netref",
        "*",
        ["p | 1", "p | p", "sorted(map(str, operator.ior(p, {'z': 1})))", "issubclass(p, p)"],
        [*_BUILTIN, "function", "builtin", "method"],
        "the same with | and the checks of subclasses: the message is about the operator, not about a missing method",
    ),
    ProbeDifference(
        "netref",
        "*",
        ["isinstance(q, type(p)), type(p) is type(q)"],
        None,
        "one class for all proxies of a class's instances; stock makes one for each, and keeps them all",
    ),
    ProbeDifference(
        "netref",
        "*",
        ["p.__init__", "p.__call__", "p.__hash__", "p.__eq__", "p.__str__", "type(p)()", "type(p).__mro__[-2:]", "subclass(p)"],
        None,
        "BaseNetref is a native class: its methods are of other types, and errors name another one",
    ),
    ProbeDifference(
        "*",
        "netref",
        ["isinstance(make('child'), p)"],
        ["class"],
        "an instance of a subclass is one, also where both are remote; stock says no",
    ),
]


def may_differ(client, server, name, expression):
    """Whether a row lets the outcome of a probe differ."""
    return any(
        fnmatch.fnmatch(client, row.client)
        and fnmatch.fnmatch(server, row.server)
        and expression in row.expressions
        and (row.objects is None or name in row.objects)
        for row in PROBE_DIFFERENCES
    )
