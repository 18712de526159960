"""Says, one line for each line asked, what stock RPyC does. Run by python.rs."""

import struct
import sys
import types

from rpyc.core import brine, protocol
from rpyc.lib import hasattr_static

PERMISSIONS = ("allow_getattr", "allow_setattr", "allow_delattr")
SWITCHES = ("allow_safe_attrs", "allow_exposed_attrs", "allow_public_attrs", "allow_all_attrs")
SAFE = protocol.DEFAULT_CONFIG["safe_attrs"]
NAMES = {
    "B": bytes.fromhex,
    "S": lambda text: bytes.fromhex(text).decode(),
    "F": lambda bits: struct.unpack("!d", bytes.fromhex(bits))[0],
    "C": lambda bits: complex(*struct.unpack("!dd", bytes.fromhex(bits))),
}


def exact(value):
    """Something that is equal only for values of the same type, to the bit."""
    kind = type(value)
    if kind is tuple:
        return "tuple", tuple(map(exact, value))
    if kind is frozenset:
        return "frozenset", sorted(repr(exact(item)) for item in value)
    if kind is slice:
        return "slice", exact(value.start), exact(value.stop), exact(value.step)
    if kind is float:
        return "float", struct.pack("!d", value)
    if kind is complex:
        return "complex", struct.pack("!dd", value.real, value.imag)
    return kind.__name__, value


def check_brine(line):
    """Bytes of ours and the value that they should be: stock's own bytes for that value."""
    ours, expression = line.split(" ", 1)
    value = eval(expression, NAMES)
    loaded = brine.load(bytes.fromhex(ours))
    if exact(loaded) != exact(value):
        return f"stock reads {loaded!r}"
    return "= " + brine.dump(value).hex()


def resolve(line):
    """What an attribute name reaches under some rules, on an object with or without some attributes."""
    permission, allowed, switches, prefix, name, plain, exposed = line.split(" ")
    config = {key: flag == "1" for key, flag in zip(SWITCHES, switches, strict=True)}
    config[PERMISSIONS[int(permission)]] = allowed == "1"
    config.update(exposed_prefix=prefix[1:], safe_attrs=SAFE)
    name, exposed_name = name[1:], prefix[1:] + name[1:]
    target = types.SimpleNamespace()
    if plain == "1":
        vars(target)[name] = 0
    if exposed == "1":
        vars(target)[exposed_name] = 0
    stub = types.SimpleNamespace(_config=config)
    try:
        reached = "=" + protocol.Connection._check_attr(stub, target, name, PERMISSIONS[int(permission)])
    except AttributeError:
        reached = "-"
    has_exposed = hasattr(target, exposed_name) or hasattr_static(target, exposed_name)
    return f"{hasattr(target, name):d}{has_exposed:d}{reached}"


def main():
    questions = {"brine": check_brine, "resolve": resolve, "safe": lambda _: " ".join(sorted(SAFE))}
    print("ready", flush=True)
    for line in sys.stdin:
        question, _, rest = line.rstrip("\n").partition(" ")
        try:
            answer = questions[question](rest)
        except Exception as error:
            answer = f"raised {type(error).__name__}: {error}"
        print(answer.replace("\n", " "), flush=True)


main()
