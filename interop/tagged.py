"""Values as tagged JSON, the form in which test and agent exchange them.

JSON alone cannot tell 1 from 1.0 or a str from bytes, and these differences are exactly what is under test. So every value
carries its type, and numbers travel as text. AGENT.md lists the tags.

Objects that do not cross a connection by value are handed to `refer`, which returns a handle such as {"t": "ref", "id": 3};
`resolve` does the reverse.
"""

CONSTANTS = {"none": None, "ellipsis": ..., "notimplemented": NotImplemented}
CONSTANT_TAGS = {type(value): tag for tag, value in CONSTANTS.items()}


def encode(value, refer):
    """Tag `value`; whatever has no by-value form goes to `refer`."""
    kind = type(value)
    if kind in CONSTANT_TAGS:
        return {"t": CONSTANT_TAGS[kind]}
    if kind is tuple:
        return {"t": "tuple", "v": [encode(item, refer) for item in value]}
    if not is_plain(value):
        return refer(value)
    if kind is frozenset:
        return {"t": "frozenset", "v": [encode(item, refer) for item in value]}
    if kind is slice:
        return {"t": "slice", "v": [encode(item, refer) for item in (value.start, value.stop, value.step)]}
    if kind is complex:
        return {"t": "complex", "v": [repr(value.real), repr(value.imag)]}
    if kind is bytes:
        return {"t": "bytes", "v": value.hex()}
    if kind in (bool, str):
        return {"t": kind.__name__, "v": value}
    return {"t": kind.__name__, "v": repr(value)}


def decode(data, resolve):
    """The value behind tagged `data`; handles go to `resolve`."""
    tag, body = data["t"], data.get("v")
    if tag in CONSTANTS:
        return CONSTANTS[tag]
    if tag in ("bool", "str"):
        return body
    if tag == "int":
        return int(body)
    if tag == "float":
        return float(body)
    if tag == "complex":
        return complex(float(body[0]), float(body[1]))
    if tag == "bytes":
        return bytes.fromhex(body)
    if tag in ("tuple", "frozenset", "slice"):
        items = [decode(item, resolve) for item in body]
        return {"tuple": tuple, "frozenset": frozenset, "slice": lambda parts: slice(*parts)}[tag](items)
    return resolve(data)


def is_plain(value):
    """Whether RPyC sends `value` by value: exact immutable types, and containers of nothing else."""
    kind = type(value)
    if kind in (tuple, frozenset):
        return all(is_plain(item) for item in value)
    if kind is slice:
        return is_plain((value.start, value.stop, value.step))
    return kind in (bool, int, float, complex, str, bytes) or kind in CONSTANT_TAGS
