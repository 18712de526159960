"""The two stock peers of a recording: what is served, and what the client does with it.

Runs inside an interpreter that has stock rpyc installed; record.py starts it.
"""

import collections
import enum
import json
import os
import sys
import threading
import time

import rpyc
from rpyc.core import brine
from rpyc.utils.server import OneShotServer, ThreadedServer

REQUESTS = [
    "PING",
    "CLOSE",
    "GETROOT",
    "GETATTR",
    "DELATTR",
    "SETATTR",
    "CALL",
    "CALLATTR",
    "REPR",
    "STR",
    "CMP",
    "HASH",
    "DIR",
    "PICKLE",
    "DEL",
    "INSPECT",
    "BUFFITER",
    "OLDSLICING",
    "CTXEXIT",
    "INSTANCECHECK",
]
PING, CLOSE, GETROOT, GETATTR, DELATTR, SETATTR, CALL, CALLATTR, REPR, STR = range(1, 11)
CMP, HASH, DIR, PICKLE, DEL, INSPECT, BUFFITER, OLDSLICING, CTXEXIT, INSTANCECHECK = range(11, 21)
HELLO = 28274


# ---------------------------------------------------------------- what is served


class Trouble(Exception):
    """A class that the other side does not know as a built-in one."""


class Account:
    limit = 100

    def __init__(self, owner, balance=0):
        self.owner = owner
        self.balance = balance

    def deposit(self, amount, note=None, *more, **named):
        self.balance += amount + sum(more) + sum(named.values())
        return self.balance

    def me(self):
        return self

    def __repr__(self):
        return f"<account of {self.owner}>"

    def __str__(self):
        return f"{self.owner}: {self.balance}"

    def __eq__(self, other):
        return isinstance(other, Account) and self.owner == other.owner

    def __lt__(self, other):
        if not isinstance(other, Account):
            return NotImplemented
        return self.balance < other.balance

    def __hash__(self):
        return 4242


Account.deposit.__doc__ = "Adds to the balance.\n\n    Indented line."


class Savings(Account):
    pass


class Shelf:
    """Answers both the item and the slice protocol, so that OLDSLICING can be told apart."""

    def __init__(self, items, new_style=True):
        self.items = items
        self.new_style = new_style

    def __getitem__(self, key):
        if not self.new_style:
            raise TypeError("no slices here")
        return tuple(self.items[key])

    def __getslice__(self, start, stop, *more):
        return ("old", start, stop) + more


class Door:
    def __init__(self):
        self.log = ()

    def __enter__(self):
        return self

    def __exit__(self, typ, val, tb):
        self.log = (getattr(typ, "__name__", typ), str(val), tb is not None)
        return False

    def exposed_seen(self):
        return self.log


def add(a, b=2, *more, **named):
    return a + b + sum(more) + sum(named.values())


class BankService(rpyc.Service):
    def on_connect(self, conn):
        self.conn = conn
        self.kept = Account("kept", 7)
        self.numbers = [1, 2, 3]

    exposed_number = 7
    exposed_add = staticmethod(add)
    exposed_Account = Account
    exposed_Savings = Savings

    def exposed_echo(self, *args):
        return args[0] if len(args) == 1 else args

    def exposed_account(self, owner="ann", balance=5):
        return Account(owner, balance)

    def exposed_savings(self):
        return Savings("sue")

    def exposed_the_account(self):
        return self.kept

    def exposed_the_list(self):
        return self.numbers

    def exposed_mixed(self):
        return (1, self.numbers, ("deep", self.kept))

    def exposed_objects(self):
        return (os.path, Account, add, Account.deposit, self.kept.deposit, {}, (x for x in ()), type, len)

    def exposed_count(self, n):
        return iter(range(n))

    def exposed_letters(self):
        return iter([["a"], "b", ("c", ["d"])])

    def exposed_shelf(self, new_style=True):
        return Shelf(list(range(10)), new_style)

    def exposed_door(self):
        return Door()

    def exposed_raise(self, which):
        if which == "args":
            raise ValueError("boom", 7, (1, 2), ["a list"])
        if which == "attributes":
            exc = OSError(2, "gone", "a.txt")
            exc.code = 12
            exc.where = {"a": "dict"}
            exc._hidden = 1
            raise exc
        if which == "custom":
            raise Trouble("not built in")
        if which == "stop":
            raise StopIteration("lost value")
        if which == "cause":
            raise KeyError("outer") from ValueError("inner")
        if which == "exit":
            raise SystemExit(3)

    def exposed_call(self, func, *args):
        return func(*args)

    def exposed_call_twice(self, func):
        return func(func)

    def exposed_read(self, obj):
        return obj.value, obj[0]

    def exposed_surrogate(self):
        return "\ud800"

    def exposed_big_int(self):
        return 10**5000

    def exposed_hang_up(self):
        self.conn.close()


OPEN = {"allow_public_attrs": True, "allow_setattr": True, "allow_delattr": True}
SERVER_CONFIG = {
    "setattr": OPEN,
    "delattr": OPEN,
    "getattr": OPEN,
    "pickle": {"allow_pickle": True},
    "exception_denied": {"include_local_traceback": False, "include_local_version": False},
    "bind_threads": {"bind_threads": True},
}
CLIENT_CONFIG = {"bind_threads": {"bind_threads": True}}


# ---------------------------------------------------------------- what the client does

SCENARIOS = {}


def scenario(about):
    def keep(func):
        SCENARIOS[func.__name__.rstrip("_")] = (about, func)
        return func

    return keep


class Peer:
    def __init__(self, conn, direct):
        self.conn = conn
        self.direct = direct  # port of the same server, past the recording proxy
        self.req = conn.sync_request

    @property
    def root(self):
        return self.conn.root


def check(truth):  # assert is gone under -OO
    if not truth:
        raise AssertionError


def fails(func, *args):
    try:
        func(*args)
    except Exception as exc:
        return exc
    raise AssertionError("expected an exception")


@scenario("GETROOT, answered by reference; the client inspects the class of the root, asks once more, and closes.")
def getroot(p):
    p.root
    p.req(GETROOT)


@scenario("PING with the default text, and with one value of each by-value type; each comes back equal.")
def ping(p):
    p.conn.ping()
    for value in (
        None,
        b"",
        (),
        True,
        5,
        "text",
        2.5,
        1j,
        slice(1, 2),
        frozenset([3]),
        NotImplemented,
        Ellipsis,
        (1, ("two", 3.0)),
        -49,
        10**30,
    ):
        p.req(PING, value)


@scenario("Label 2 and label 4 out, label 2 and label 3 back: a tuple that holds the client's list is echoed.")
def boxing(p):
    mine = [1]
    back = p.req(PING, (1, mine, ("in", mine)))
    check(back[1] is mine and back[2][1] is mine)
    p.req(PING, [2])


class Pair(collections.namedtuple("Pair", "a b")):
    __slots__ = ()


class Level(enum.IntEnum):
    HIGH = 3


class Text(str):
    pass


@scenario("Values that are not by-value data: subclasses of int, str and tuple, and containers with a list inside.")
def by_reference(p):
    held = [Pair(1, 2), Level.HIGH, Text("t"), bytearray(b"b"), {1}, frozenset([len]), slice(1, [2]), range(3)]
    for value in held:
        check(p.req(PING, value) is value)
    p.req(PING, (Pair(1, 2), [1]))


@scenario("Results by value, as a tuple with references in it, and by reference; one object arrives twice in a row.")
def results(p):
    root = p.root
    check(root.add(1, 2) == 3)
    mixed = root.mixed()
    check(mixed[1] is root.the_list())


@scenario("Id packs of a module, a class, a function, a method, a dict, a generator, a metaclass and a built-in function.")
def id_packs(p):
    p.root.objects()


@scenario("GETATTR: by value, by reference, under the exposed prefix, name as bytes, missing name, refused name.")
def getattr_(p):
    root = p.root
    check(root.number == 7)
    account = root.account()
    account.deposit
    check(account.limit == 100)
    check(p.req(GETATTR, account, b"owner") == "ann")
    fails(p.req, GETATTR, account, "nothing")
    fails(p.req, GETATTR, account, "__dict__")
    fails(p.req, GETATTR, account, 5)


@scenario("SETATTR by value and with a reference to a client object; refused on the root.")
def setattr_(p):
    account = p.root.account()
    account.owner = "bob"
    account.tags = ["client list"]
    fails(p.req, SETATTR, p.root, "number", 8)


@scenario("DELATTR, first granted, then on a name that is gone.")
def delattr_(p):
    account = p.root.account()
    del account.owner
    fails(p.req, DELATTR, account, "owner")


@scenario("CALL of a function obtained by GETATTR: positional, keywords, a mix, no kwargs item at all, a wrong call.")
def call(p):
    func = p.root.add
    func(1)
    func(1, 2, 3)
    func(1, b=5, c=6)
    p.req(CALL, func, (1, 2))
    fails(func)


@scenario("CALLATTR: by value, by keyword, by reference, without a kwargs item; what stock sends for [], len, in; refusals.")
def callattr(p):
    root = p.root
    p.req(CALLATTR, root, "echo", (1, "two"), ())
    account = p.req(CALLATTR, root, "account", ("ann",), (("balance", 9),))
    p.req(CALLATTR, root, "echo", (account, [1], 3), ())
    p.req(CALLATTR, root, "echo", (1,))
    numbers = root.the_list()
    check(numbers[0] == 1 and len(numbers) == 3 and 2 in numbers)
    numbers[1:]
    fails(p.req, CALLATTR, account, "deposit", (1,), ())
    fails(p.req, CALLATTR, root, "nothing", (), ())


@scenario("Keyword arguments of CALLATTR and CALL, by value and by reference.")
def kwargs(p):
    root = p.root
    root.account(owner="kim", balance=1)
    root.account(owner=["list"])
    p.req(CALLATTR, root, "account", (), (("owner", "max"), ("balance", 2)))
    p.req(CALL, root.Account, ("lee",), (("balance", 3),))


@scenario("REPR and STR.")
def repr_str(p):
    account = p.root.account()
    check(repr(account) == "<account of ann>")
    check(str(account) == "ann: 5")


@scenario("CMP with __eq__, __ne__, __lt__ and __ge__; NotImplemented as a result; an operator the class lacks.")
def cmp(p):
    root = p.root
    a, b = root.account("ann", 1), root.account("bob", 2)
    a == b, a != b, a < b
    a == 5
    p.req(CMP, a, 5, "__lt__")
    fails(p.req, CMP, a, b, "__cmp__")
    fails(p.req, CMP, a, b, "deposit")


@scenario("HASH of an object with its own hash and of one that has none.")
def hash_(p):
    check(hash(p.root.account()) == 4242)
    fails(hash, p.root.the_list())


@scenario("DIR.")
def dir_(p):
    dir(p.root.account())


@scenario("PICKLE where the server allows it.")
def pickle(p):
    check(p.req(PICKLE, p.root.the_list(), 2) == b"\x80\x02]q\x00(K\x01K\x02K\x03e.")


@scenario("PICKLE where it is not allowed: ValueError.")
def pickle_refused(p):
    fails(p.req, PICKLE, p.root.the_list(), 2)


@scenario("DEL: a list received three times is dropped (count 3); DEL for an unknown object; partial counts.")
def del_(p):
    root = p.root
    kept = root.the_list()
    root.the_list(), root.the_list()
    pack = kept.____id_pack__
    del kept
    fails(p.req, REPR, Foreign(p.conn, pack))
    fails(p.req, DEL, Foreign(p.conn, pack), 1)
    kept = root.the_list()
    root.the_list()
    p.req(DEL, kept, 1)
    check(repr(kept) == "[1, 2, 3]")
    p.req(DEL, kept, 1)
    fails(repr, kept)
    kept = root.the_list()
    p.req(DEL, kept, 40)
    fails(repr, kept)
    kept = root.the_list()
    p.req(DEL, kept)
    fails(repr, kept)


def Foreign(conn, pack):
    """A stock proxy for an id pack that need not exist. It never sends DEL."""
    from rpyc.core import netref

    cls = type("Foreign", (netref.BaseNetref,), {"__slots__": (), "__del__": lambda self: None, "__class__": None})
    return cls(conn, pack)


@scenario("INSPECT of an instance, a class, a function and a module; of an id pack that names nothing.")
def inspect(p):
    root = p.root
    held = root.account(), root.Account, root.add, root.objects()[0]
    p.req(INSPECT, held[2].____id_pack__)
    p.req(INSPECT, held[3].____id_pack__)
    fails(p.req, INSPECT, ("no.Such", 1, 2))


@scenario("Two proxies of instances of one class in turn, then two of the class: which of them the client inspects.")
def inspect_again(p):
    root = p.root
    for _ in range(2):
        account = root.account()
        del account
    for _ in range(2):
        cls = root.Account
        del cls


@scenario("BUFFITER: full chunk, rest, end (empty tuple); items by reference; then the end of __next__.")
def buffiter(p):
    it = p.root.count(5)
    check(p.req(BUFFITER, it, 3) == (0, 1, 2))
    check(p.req(BUFFITER, it, 3) == (3, 4))
    check(p.req(BUFFITER, it, 3) == ())
    p.req(BUFFITER, p.root.letters(), 10)
    fails(p.req, BUFFITER, p.root, 1)


@scenario("Iteration: CALLATTR __iter__ and __next__, ended by StopIteration as the int 1, whose value is lost.")
def stopiteration(p):
    check([n for n in p.root.count(2)] == [0, 1])
    exc = fails(p.root.__getattr__("raise"), "stop")
    check(type(exc) is StopIteration)


@scenario("OLDSLICING: by the item protocol; by the fallback; by the fallback with stop None, which becomes maxint.")
def oldslicing(p):
    shelf = p.root.shelf()
    check(p.req(OLDSLICING, shelf, "__getitem__", "__getslice__", 2, 5, ()) == (2, 3, 4))
    check(p.req(OLDSLICING, shelf, "__getitem__", "__getslice__", 7, None, ()) == (7, 8, 9))
    old = p.root.shelf(False)
    check(p.req(OLDSLICING, old, "__getitem__", "__getslice__", 2, 5, ("x",)) == ("old", 2, 5, "x"))
    p.req(OLDSLICING, old, "__getitem__", "__getslice__", 2, None, ())
    fails(p.req, OLDSLICING, old, "__getitem__", "nothing", 2, 5, ())


@scenario("CTXEXIT: a with block that ends well, one that raises (the exception class travels), an instance, a string.")
def ctxexit(p):
    door = p.root.door()
    with door:
        pass
    print("none:", door.seen())
    try:
        with door:
            raise ValueError("inside")
    except ValueError:
        pass
    print("with block:", door.seen())
    p.req(CTXEXIT, door, ValueError("an instance"))
    print("instance:", door.seen())
    p.req(CTXEXIT, door, "a string")
    print("string:", door.seen())


@scenario("INSTANCECHECK: by isinstance on two proxies, for a built-in name, for a name the receiver has no proxy of.")
def instancecheck(p):
    root = p.root
    cls, account, savings = root.Account, root.account(), root.savings()
    print("isinstance same class:", isinstance(account, cls))
    print("isinstance subclass:", isinstance(savings, cls))
    print("list proxy:", isinstance(root.the_list(), cls))
    mine = Savings("client's")
    check(root.echo(mine) is mine)
    from rpyc.lib import get_id_pack

    print("client's object, class unknown:", p.req(INSTANCECHECK, cls, get_id_pack(mine)))
    print("unknown:", p.req(INSTANCECHECK, cls, ("no.Such", 1, 2)))
    builtin = root.objects()[7]
    print("builtin type:", p.req(INSTANCECHECK, builtin, ("builtins.type", 1, 0)))


@scenario("An exception with arguments, one of which is not by-value data and travels as its repr.")
def exception_args(p):
    fails(p.root.__getattr__("raise"), "args")


@scenario("An exception with attributes: by value, by repr, and a private one, which stays behind.")
def exception_attributes(p):
    fails(p.root.__getattr__("raise"), "attributes")


@scenario("An exception of a class that is not built in.")
def exception_custom(p):
    exc = fails(p.root.__getattr__("raise"), "custom")
    print("arrives as", type(exc).__name__, type(exc).__mro__[1:3])


@scenario("An exception raised from another one.")
def exception_cause(p):
    fails(p.root.__getattr__("raise"), "cause")


@scenario("SystemExit raised by remote code.")
def exception_exit(p):
    try:
        p.root.__getattr__("raise")("exit")
    except SystemExit as exc:
        print("arrives as SystemExit", exc.args)


@scenario("An exception from a server that gives away neither traceback nor version.")
def exception_denied(p):
    fails(p.root.__getattr__("raise"), "args")


@scenario("A request to the unknown handler number 28274 with (1, '0.1.0', ('chain',)): KeyError, connection alive.")
def unknown_handler(p):
    exc = fails(p.req, HELLO, 1, "0.1.0", ("chain",))
    check(isinstance(exc, KeyError) and exc.args == (HELLO,))
    p.req(PING, 1)


@scenario("An offer to handler 28274 sent before GETROOT, both answers outstanding at once.")
def hello_with_getroot(p):
    offer = p.conn.async_request(HELLO, 1, "0.1.0", ("chain",))
    p.root
    offer.wait()
    check(offer.error)


@scenario("Payloads of exactly 3000 bytes (plain) and 3001 bytes (compressed), as request and as reply.")
def compressed(p):
    for size in (2987, 2988, 2990, 2991):
        p.req(PING, b"netref " * (size // 7) + b"x" * (size % 7))


@scenario("A payload over 64000 bytes that does not compress.")
def large(p):
    data, state = bytearray(), 12345
    while len(data) < 70000:
        state = (state * 1103515245 + 12345) & 0x7FFFFFFF
        data.append(state >> 16 & 255)
    p.req(PING, bytes(data))


@scenario("The server calls a function of the client inside a request (plain, with a result, raising).")
def callback(p):
    root = p.root
    check(root.call(lambda a: a + 1, 41) == 42)

    def bad():
        raise ValueError("from the client")

    fails(root.call, bad)


class Mine:
    exposed_value = "client"

    def __getitem__(self, key):
        return key + 1


@scenario("An object of a client class is passed: the server inspects it before it runs the request, then uses it.")
def callback_object(p):
    check(p.root.read(Mine()) == ("client", 1))


@scenario("Four levels of nesting: the server calls the client, which calls the server, which calls the client.")
def callback_nested(p):
    root = p.root

    def outer(func):
        return root.call(inner, 5)

    def inner(n):
        return n * 2

    check(root.call_twice(outer) == 10)


@scenario("Five requests sent before any answer is read; answers carry the numbers of their requests.")
def pipelined(p):
    waiting = [p.conn.async_request(PING, n) for n in range(5)]
    check([w.value for w in reversed(waiting)] == [4, 3, 2, 1, 0])


@scenario("The client closes at once, without another request.")
def close(p):
    pass


@scenario("The server closes, from inside a request of the client.")
def close_server(p):
    fails(p.root.hang_up)


@scenario("A result that stock counts as by-value and cannot encode (a lone surrogate): the server gives up.")
def unencodable_str(p):
    fails(p.root.surrogate)


@scenario("A result that stock counts as by-value and cannot encode (an int of 5001 digits): the server gives up.")
def unencodable_int(p):
    fails(p.root.big_int)


@scenario("A proxy of another connection is passed on: its id pack travels unchanged, and INSPECT is passed through.")
def chained(p):
    other = rpyc.connect("127.0.0.1", p.direct)
    account = other.root.account()
    p.root.echo(account)
    other.close()


@scenario("bind_threads on both sides: 16 bytes of thread numbers before each payload; with a callback.")
def bind_threads(p):
    check(p.root.call(lambda a: a + 1, 41) == 42)


@scenario("Classic mode: the requests that connecting makes, eval, execute, a module, teleport and deliver.")
def classic(p):
    conn = p.conn
    conn.execute("x = 20")
    check(conn.eval("x + 1") == 21)
    conn.modules.math.floor(2.5)
    namespace = {"__name__": "sample"}
    exec(compile("def twice(n):\n    return n * 2\n", "sample.py", "exec"), namespace)
    check(conn.teleport(namespace["twice"])(4) == 8)
    rpyc.classic.deliver(conn, [1, 2])


# ---------------------------------------------------------------- processes


def serve(name):
    service, kind = BankService, ThreadedServer if name == "chained" else OneShotServer
    if name == "classic":
        service = rpyc.SlaveService
    server = kind(service, hostname="127.0.0.1", port=0, protocol_config=dict(SERVER_CONFIG.get(name, {})))
    threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
    server.listener.listen(5)
    print(server.port, flush=True)
    server.start()


def drive(name, port, direct):
    _about, func = SCENARIOS[name]
    if name == "classic":
        conn = rpyc.classic.connect("127.0.0.1", port)
    else:
        conn = rpyc.connect("127.0.0.1", port, config=dict(CLIENT_CONFIG.get(name, {})))
    func(Peer(conn, direct))
    time.sleep(0.05)
    try:
        conn.close()
    except Exception as exc:
        print("close:", repr(exc))
    sys.stdout.flush()
    os._exit(0)


# ---------------------------------------------------------------- labels and brine


def labels(dialect, bound, frames):
    """Names each frame, by means of stock's own decoder."""
    import zlib

    asked, out = {}, []
    for side, text in frames:
        raw = bytes.fromhex(text)
        payload = zlib.decompress(raw[5:-1]) if raw[4] else raw[5:-1]
        if bound:
            payload = payload[16:]
        if dialect == "v6":
            msg, (seq, args) = payload[0], brine.load(payload[1:])
        else:
            msg, seq, args = brine.load(payload)
        if msg == 1:
            number = args[0]
            what = REQUESTS[number - 1] if 1 <= number <= 20 else f"handler {number}"
            asked[side, seq] = what
            label = f"request {seq} {what}"
        else:
            other = "server" if side == "client" else "client"
            kind = "reply" if msg == 2 else "exception"
            label = f"{kind} {seq} to {asked.pop((other, seq), '?')}"
        out.append(label + (", compressed" if raw[4] else ""))
    return out


def brine_samples():
    texts = ["None", "True", "False", "NotImplemented", "Ellipsis"]
    texts += ["b'" + "abcde"[:n] + "'" for n in range(6)] + ["b'x' * 255", "b'x' * 256", "b'\\x00\\xff'"]
    texts += ["'" + "abcde"[:n] + "'" for n in range(6)] + ["'x' * 255", "'x' * 256"]
    texts += [
        r"'\x7f'",
        r"'\x80'",
        r"'\xe9'",
        r"'\u07ff'",
        r"'\u0800'",
        r"'\u20ac'",
        r"'\uffff'",
        r"'\U00010000'",
        r"'\U0001f600'",
        r"'\U0010ffff'",
        r"'a\xe9\u20ac\U0001f600'",
        r"'\x00'",
        r"'\xe9' * 2",
        r"'\xe9' * 127",
        r"'\xe9' * 128",
    ]
    texts += ["()", "(1,)", "(1, 2)", "(1, 2, 3)", "(1, 2, 3, 4)", "(1, 2, 3, 4, 5)"]
    texts += ["tuple(range(255))", "tuple(range(256))", "((),)", "(((1,),),)", "(None, (True, ('x', (b'y', ()))))"]
    texts += [
        "-0x32",
        "-0x31",
        "-0x30",
        "-0x2f",
        "-1",
        "0",
        "1",
        "0x9e",
        "0x9f",
        "0xa0",
        "0xa1",
        "255",
        "256",
        "-256",
        "2**31 - 1",
        "2**31",
        "-2**31",
        "2**63 - 1",
        "2**63",
        "-2**63",
        "-2**63 - 1",
        "2**64",
        "10**30",
        "-10**30",
        "10**253",
        "10**254",
        "10**255",
        "10**256",
        "-10**253",
        "-10**254",
        "-10**255",
        "int('9' * 4300)",
    ]
    texts += ["0.0", "-0.0", "1.0", "1.5", "-2.5", "0.1", "1e308", "5e-324", "float('inf')", "float('-inf')", "float('nan')"]
    texts += ["0j", "1j", "complex(1.5, -2.5)", "complex(-0.0, float('inf'))"]
    texts += ["slice(None)", "slice(5)", "slice(1, 5)", "slice(1, 5, 2)", "slice(None, None, -1)", "slice('a', (1, 2), None)"]
    texts += [
        "frozenset()",
        "frozenset([1])",
        "frozenset([1, 2, 3])",
        "frozenset(['a'])",
        "frozenset([(1, 'x')])",
        "frozenset([frozenset([1])])",
        "frozenset(range(5))",
    ]
    texts += ["(slice(1, 2), frozenset([3]), 1j, ...)", "(NotImplemented, (Ellipsis,))"]
    return [{"python": t, "hex": brine.dump(eval(t)).hex()} for t in texts]


def main(argv):
    sys.tracebacklimit = 0  # tracebacks would carry paths and source lines of this machine
    command = argv[0]
    if command == "serve":
        serve(argv[1])
    elif command == "drive":
        drive(argv[1], int(argv[2]), int(argv[3]))
    elif command == "list":
        from rpyc import version

        print(json.dumps({"stock": version.__version__, "scenarios": [(name, about) for name, (about, _) in SCENARIOS.items()]}))
    elif command == "labels":
        dialect, bound, frames = json.load(sys.stdin)
        print(json.dumps(labels(dialect, bound, frames)))
    elif command == "brine":
        print(json.dumps(brine_samples()))
    elif command == "builtins":
        from rpyc.core import netref

        print(json.dumps(sorted(netref.builtin_classes_cache)))
    elif command == "registry":
        from rpyc.utils.registry import TCPRegistryServer, UDPRegistryServer

        kind = {"udp": UDPRegistryServer, "tcp": TCPRegistryServer}[argv[1]]
        server = kind("127.0.0.1", 0, allow_listing=argv[2] == "listing")
        threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
        print(server.port, flush=True)
        server.start()
    elif command == "registrar":
        from rpyc.utils.registry import TCPRegistryClient, UDPRegistryClient

        kind = {"udp": UDPRegistryClient, "tcp": TCPRegistryClient}[argv[1]]
        client = kind("127.0.0.1", int(argv[2]))
        for call in json.loads(argv[3]):
            print(call, getattr(client, call[0])(*(tuple(a) if isinstance(a, list) else a for a in call[1:])))
