"""Which request reaches which attribute of which object under which configuration: as with stock, but for what is declared here.

Both are asked over a socket, in processes of their own, by the same client.
"""

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import netref
from netref.core import brine, consts
from peer_process import HERE, STOCK6, Program, interpreter
from policy_server import KINDS

pytestmark = STOCK6

FLAGS = ["safe", "exposed", "public", "all"]
NAMES = """
    public _private plain exposed_plain both exposed_both lic pub_lic pub_plain _exposed exposed own _hidden exposed_own
    exposed_exposed_own method exposed_method _private_method __iter__ __next__ __getitem__ __getslice__ __enter__
    __exit__ __secret__ __matmul__ broken exposed_broken __init__ __new__ __class__ __dict__ __doc__ __module__ __eq__
    __lt__ __hash__ __repr__ __str__ __call__ __len__ __add__ __getattribute__ __setattr__ __reduce_ex__ __globals__
    __mro__ append missing exposed_missing _rpyc_getattr args
""".split()
NAME_REQUESTS = {
    "getattr": lambda name: (consts.HANDLE_GETATTR, name),
    "setattr": lambda name: (consts.HANDLE_SETATTR, name, 1),
    "delattr": lambda name: (consts.HANDLE_DELATTR, name),
    "callattr": lambda name: (consts.HANDLE_CALLATTR, name, (), ()),
    "cmp": lambda name: (consts.HANDLE_CMP, 1, name),
    "oldslicing": lambda name: (consts.HANDLE_OLDSLICING, name, name, 0, 1, ()),
}
OTHER_REQUESTS = {
    "buffiter": (consts.HANDLE_BUFFITER, 1),
    "ctxexit": (consts.HANDLE_CTXEXIT, None),
    "dir": (consts.HANDLE_DIR,),
    "repr": (consts.HANDLE_REPR,),
    "str": (consts.HANDLE_STR,),
    "hash": (consts.HANDLE_HASH,),
    "call": (consts.HANDLE_CALL, (), ()),
    "pickle": (consts.HANDLE_PICKLE, 2),
}

configurations = st.fixed_dictionaries(
    {f"allow_{flag}_attrs": st.booleans() for flag in FLAGS},
    optional={
        "allow_getattr": st.booleans(),
        "allow_setattr": st.booleans(),
        "allow_delattr": st.booleans(),
        "exposed_prefix": st.sampled_from(["exposed_", "pub_", "", "_", "exposed"]),
        "safe_attrs": st.sampled_from([(), ("_private", "__iter__"), ("__exit__", "__secret__")]),
    },
)
names = st.sampled_from(NAMES) | st.text("_exposdpublc", max_size=12)


class Side:
    """A server with the objects, and what it says to requests."""

    def __init__(self, implementation):
        self.program = Program(interpreter(implementation), HERE / "policy_server.py", "--impl", implementation)
        self.conn = netref.connect("127.0.0.1", int(self.program.read_line()))
        self._make, self._configure = self.conn.root.make, self.conn.root.configure

    def outcome(self, kind, config, request):
        """What a request about a new object of that kind comes to: "granted", and the plain value; or the exception's name."""
        self._configure(())
        thing = self._make(kind)
        self._configure(tuple(config.items()))
        try:
            value = self.conn.sync_request(request[0], thing, *request[1:])
        except Exception as error:
            return type(error).__name__, None
        # Proxies, hashes and texts with addresses are different objects everywhere.
        is_comparable = brine.dumpable(value) and type(value) is not int and " at 0x" not in str(value)
        return "granted", value if is_comparable else None

    def methods(self, kind, config):
        self._configure(())
        thing = self._make(kind)
        self._configure(tuple(config.items()))
        return {name for name, _ in self.conn.sync_request(consts.HANDLE_INSPECT, thing.____id_pack__)}

    def close(self):
        self._configure(())
        self.conn.close()
        self.program.stop()


@pytest.fixture(scope="module")
def sides():
    pair = Side("netref"), Side("rpyc")
    yield pair
    for side in pair:
        side.close()


def is_declared(config, request, name):
    """Whether the two may differ, and netref must refuse if they do."""
    if request == "buffiter":
        return True  # asks the policy for __iter__, or __getitem__
    if name == "__new__":
        return "safe_attrs" not in config  # is not among the safe ones
    return False


searching = settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck), database=None)
DEFAULT = {f"allow_{flag}_attrs": flag in ("safe", "exposed") for flag in FLAGS}


@searching
@given(st.sampled_from(list(KINDS)), configurations, st.sampled_from(list(NAME_REQUESTS)), names)
@example("class", DEFAULT, "getattr", "__new__")
@example("deciding", DEFAULT, "cmp", "__lt__")
@example("plain", DEFAULT, "cmp", "__getattribute__")
@example("deciding", dict.fromkeys(DEFAULT, False), "cmp", "public")
@example("deciding", dict.fromkeys(DEFAULT, False), "cmp", "__eq__")
@example("plain", DEFAULT, "cmp", "__new__")
def test_requests_with_a_name(sides, kind, config, request, name):
    ours, stocks = (side.outcome(kind, config, NAME_REQUESTS[request](name)) for side in sides)
    if request == "cmp" and kind == "deciding":
        # Asks the object, which stock does not: as a call does.
        assert ours == sides[0].outcome(kind, config, (consts.HANDLE_CALLATTR, name, (1,), ()))
    elif is_declared(config, request, name) and ours != stocks:
        assert ours[0] == "AttributeError"
    else:
        assert ours == stocks


@searching
@given(st.sampled_from(list(KINDS)), configurations, st.sampled_from([name for name in OTHER_REQUESTS if name != "dir"]))
@example("deciding", DEFAULT, "buffiter")
@example("deciding", DEFAULT, "ctxexit")
def test_requests_without_a_name(sides, kind, config, request):
    ours, stocks = (side.outcome(kind, config, OTHER_REQUESTS[request]) for side in sides)
    if request in ("repr", "str", "call"):
        ours, stocks = ours[:1], stocks[:1]  # addresses are in them
    if is_declared(config, request, None) and ours != stocks:
        assert ours[0] == "AttributeError"
    else:
        assert ours == stocks


@searching
@given(st.sampled_from(list(KINDS)), configurations)
def test_names_that_are_listed(sides, kind, config):
    """DIR and INSPECT list those of stock's names that GETATTR gives, and whether the object can be called."""
    netrefs, stock = sides
    status, listed = netrefs.outcome(kind, config, OTHER_REQUESTS["dir"])
    _, all_names = stock.outcome(kind, config, OTHER_REQUESTS["dir"])
    methods, all_methods = netrefs.methods(kind, config), stock.methods(kind, config)
    assert status == "granted" and set(listed) <= set(all_names) and methods <= all_methods
    for name in [*all_names, *all_methods]:
        status, _ = netrefs.outcome(kind, config, NAME_REQUESTS["getattr"](name))
        is_given = status != "AttributeError"
        if name in all_names and status != "RuntimeError":
            assert (name in listed) == is_given, name
        if name in all_methods and name != "__call__":
            assert (name in methods) == is_given, name


def test_strict_policy(pair):
    """It decides about what is open to everybody otherwise."""

    class Shy:
        def __repr__(self):
            return "shy"

        def __call__(self):
            return "called"

    class Open(Shy):
        exposed___call__ = Shy.__call__

    class Offers(netref.Service):
        def exposed_shy(self):
            return Shy()

        def exposed_open(self):
            return Open()

    client, server = pair(Offers, config={"strict_policy": True, "safe_attrs": {"__str__"}})
    shy = client.root.shy()
    for use in (repr, hash, dir, lambda proxy: proxy()):
        with pytest.raises(AttributeError, match=r"cannot access '__[a-z]+__' of Shy"):
            use(shy)
    assert str(shy) == "shy"
    assert client.sync_request(consts.HANDLE_CALL, client.root.open(), (), ()) == "called"
    server._config["safe_attrs"] = {"__repr__", "__hash__", "__dir__", "__str__", "__call__"}
    assert repr(shy) == "shy" and shy() == "called" and "__str__" in dir(shy)


def test_refusal_says_what_would_be_allowed(pair):
    """And not whether there is something of that name."""

    class Offers(netref.Service):
        _private = 1

    client, server = pair(Offers)
    texts = []
    for name in ("_private", "_missing"):
        with pytest.raises(AttributeError) as caught:
            getattr(client.root, name)
        texts.append(str(caught.value).replace(name, "NAME").split("\n")[0])
    assert texts[0] == texts[1] and '"exposed_"' in texts[0]
    server._config["allow_getattr"] = False
    with pytest.raises(AttributeError, match="allow_getattr"):
        _ = client.root.get_service_name
