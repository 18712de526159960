"""What one peer can do with the objects of the other, by name. AGENT.md is the specification.

The agent performs these for the test, and the service's `operate` performs the same ones on objects of the client: RPyC is
symmetric, so every operation has to work in both directions.
"""

import operator

from catalogue import named_error


def perform(rpyc, conn, name, args, kwargs):
    """Do operation `name` over `conn` and return what it gives."""
    if name in OBJECT_OPERATIONS:
        return OBJECT_OPERATIONS[name](*args, **kwargs)
    return CONNECTION_OPERATIONS[name](rpyc, conn, *args, **kwargs)


def with_block(manager, kind=None, *args):
    """Run a with statement that raises `kind`; getting to its end in spite of that means that it was suppressed."""
    with manager as entered:
        if kind is not None:
            raise named_error(kind, *args)
    return (entered, kind is not None)


OBJECT_OPERATIONS = {
    "getattr": getattr,
    "setattr": setattr,
    "delattr": delattr,
    "call": lambda function, *args, **kwargs: function(*args, **kwargs),
    "method": lambda target, name, *args, **kwargs: getattr(target, name)(*args, **kwargs),
    "repr": repr,
    "str": str,
    "dir": lambda target: tuple(dir(target)),
    "hash": hash,
    **{name: getattr(operator, name) for name in ("eq", "ne", "lt", "le", "gt", "ge")},
    "len": len,
    **{name: getattr(operator, name) for name in ("getitem", "setitem", "delitem", "contains")},
    "iter": iter,
    "next": next,
    "collect": tuple,
    "with": with_block,
}

CONNECTION_OPERATIONS = {
    "root": lambda rpyc, conn: conn.root,
    "ping": lambda rpyc, conn, data: conn.ping(data),
    "closed": lambda rpyc, conn: conn.closed,
    "request": lambda rpyc, conn, number, *args: conn.sync_request(number, *args),
    "id_pack": lambda rpyc, conn, reference: reference.____id_pack__,
    "buffiter": lambda rpyc, conn, iterable, chunk: tuple(rpyc.buffiter(iterable, chunk)),
}
