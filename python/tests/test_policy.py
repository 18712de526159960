"""The configuration: what a peer may do, and settings that change while a connection lives."""

import threading

import pytest

import netref
from netref.core.protocol import DEFAULT_CONFIG


class Target:
    public = "public"
    _private = "private"
    exposed_plain = "exposed"
    exposed_both = "exposed wins"
    both = "plain"

    def __secret__(self):
        return "secret"


class Offers(netref.Service):
    def exposed_target(self):
        return Target()


@pytest.fixture
def target(pair):
    """A proxy of a target, of an owner with the given configuration."""

    def make(**config):
        client, server = pair(Offers)
        proxy = client.root.target()
        server._config.update(config)
        return proxy

    return make


def readable(proxy):
    names = ("public", "_private", "plain", "exposed_plain", "__secret__", "__doc__")
    return {name for name in names if hasattr(proxy, name)}


@pytest.mark.parametrize(
    ("config", "names"),
    [
        ({}, {"plain", "exposed_plain", "__doc__"}),
        ({"allow_exposed_attrs": False}, {"__doc__"}),
        ({"allow_safe_attrs": False}, {"plain", "exposed_plain"}),
        ({"allow_public_attrs": True}, {"public", "plain", "exposed_plain", "__doc__"}),
        ({"allow_public_attrs": True, "allow_exposed_attrs": False}, {"public", "exposed_plain", "__doc__"}),
        ({"allow_all_attrs": True}, {"public", "_private", "plain", "exposed_plain", "__secret__", "__doc__"}),
        ({"allow_getattr": False}, set()),
        ({"exposed_prefix": "pub"}, {"public", "__doc__"}),
        ({"safe_attrs": {"_private"}}, {"_private", "plain", "exposed_plain"}),
    ],
    ids=str,
)
def test_reading(target, config, names):
    assert readable(target(**config)) == names


def test_prefixed_name_wins_unless_the_plain_one_is_open(target):
    assert target().both == "exposed wins"
    assert target(allow_public_attrs=True).both == "plain"


def test_writing_and_deleting(target):
    for config in ({}, {"allow_public_attrs": True}):
        closed = target(**config)
        with pytest.raises(AttributeError, match="allow_setattr"):
            closed.public = 1
        with pytest.raises(AttributeError, match="allow_delattr"):
            del closed.public
    open_to_all = target(allow_public_attrs=True, allow_setattr=True, allow_delattr=True)
    open_to_all.public = "changed"
    assert open_to_all.public == "changed"
    del open_to_all.public
    assert open_to_all.public == "public"
    with pytest.raises(AttributeError, match="_private"):
        open_to_all._private = 1


def test_live_edits(pair):
    client, server = pair(Offers)
    target = client.root.target()
    assert not hasattr(target, "public")
    server._config["allow_public_attrs"] = True
    assert target.public == "public"
    server._config["safe_attrs"].add("_private")
    try:
        assert target._private == "private"
    finally:
        server._config["safe_attrs"].discard("_private")
    server._config.update(allow_getattr=False)
    assert not hasattr(target, "public")


def test_default_config_is_live(serve, connect, monkeypatch):
    server = serve(Offers)
    assert not hasattr(connect(server).root.target(), "public")
    monkeypatch.setitem(DEFAULT_CONFIG, "allow_public_attrs", True)
    assert connect(server).root.target().public == "public"


def test_default_safe_attrs_can_be_extended(serve, connect):
    server = serve(Offers)
    DEFAULT_CONFIG["safe_attrs"].update(["_private"])
    try:
        assert connect(server).root.target()._private == "private"
    finally:
        DEFAULT_CONFIG["safe_attrs"].discard("_private")


def test_defaults_that_programs_rely_on():
    closed = ("allow_public_attrs", "allow_all_attrs", "allow_setattr", "allow_delattr", "allow_pickle")
    assert not any(DEFAULT_CONFIG[name] for name in closed)
    assert not DEFAULT_CONFIG["instantiate_custom_exceptions"]
    assert not DEFAULT_CONFIG["import_custom_exceptions"]
    assert DEFAULT_CONFIG["sync_request_timeout"] == 30
    assert DEFAULT_CONFIG["exposed_prefix"] == "exposed_"


def test_unknown_keys_are_ignored(serve, connect):
    conn = connect(serve(Offers, protocol_config={"no_such_key": 1}), config={"my own": 2})
    assert conn.root.target().plain == "exposed"
    assert conn._config["my own"] == 2


def test_config_given_is_not_changed(serve, connect):
    config = {"allow_public_attrs": True}
    conn = connect(serve(Offers), config=config)
    conn._config["x"] = 1
    assert config == {"allow_public_attrs": True}


def test_each_connection_has_an_id_and_may_choose_it(serve, connect):
    server = serve(Offers)
    first, second = connect(server), connect(server)
    assert first._config["connid"] != second._config["connid"]
    assert connect(server, config={"connid": "mine"})._config["connid"] == "mine"


def test_endpoints_and_logger_of_a_server(pair):
    _, server = pair(Offers)
    ours, theirs = server._config["endpoints"]
    assert ours[0] == theirs[0] == "127.0.0.1"
    assert server._config["logger"].name.startswith("OFFERS/")


def test_before_closed(serve):
    seen = []
    conn = netref.connect("127.0.0.1", serve(Offers).port, config={"before_closed": seen.append})
    root = conn.root
    conn.close()
    assert seen == [root]


class Guarded:
    def _rpyc_getattr(self, name):
        if name == "open":
            return "sesame"
        raise AttributeError(f"guarded: {name}")

    def _rpyc_setattr(self, name, value):
        if name != "open":
            raise AttributeError(f"guarded: {name}")
        self.value = value

    def _rpyc_delattr(self, name):
        self.value = f"deleted {name}"


def test_object_with_rules_of_its_own(serve, connect):
    guarded = Guarded()

    class Holds(netref.Service):
        exposed_guarded = guarded

    proxy = connect(serve(Holds, protocol_config={"allow_all_attrs": True})).root.guarded
    assert proxy.open == "sesame"
    with pytest.raises(AttributeError, match="guarded: value"):
        _ = proxy.value
    proxy.open = 5
    assert guarded.value == 5
    del proxy.anything
    assert guarded.value == "deleted anything"
    with pytest.raises(AttributeError, match="guarded: other"):
        proxy.other = 1


@pytest.mark.differs("has no such settings")
@pytest.mark.parametrize(("key", "value"), [("wire", "v7"), ("wire", 5), ("dispatch", "nowhere")])
def test_bad_settings_of_our_own(serve, key, value):
    with pytest.raises((ValueError, TypeError), match=f'"{key}" is .*must be'):
        netref.connect("127.0.0.1", serve(Offers).port, config={key: value})


@pytest.mark.differs("has no such setting")
def test_dispatch_to_the_pool(serve, connect):
    """A callback then never runs on the thread that waits."""

    class Calls(netref.Service):
        def exposed_call(self, function):
            return function()

    conn = connect(serve(Calls), config={"dispatch": "pool"})
    assert conn.root.call(threading.get_ident) != threading.get_ident()
