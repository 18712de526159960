"""What the keys of the configuration do, also when they are changed while a connection lives."""

import logging
import time

from scenarios.host import raises


class _Thing:
    public = "public"
    exposed_shown = "shown"
    exposed_both = "exposed both"
    both = "both"
    _private = "private"

    def __init__(self):
        self.value = 1

    def __len__(self):
        return 3

    def __secret__(self):
        return "secret"


def _serve(side, config):
    class Things(side.rpyc.Service):
        exposed_thing = _Thing()
        exposed_list = [1, 2]

        def on_connect(self, conn):
            self.conn = conn

        def exposed_configure(self, key, value):
            self.conn._config[key] = value

        def exposed_read(self, key):
            return self.conn._config[key]

        def exposed_set_of(self, thing, name, value):
            setattr(thing, name, value)

        def exposed_get_of(self, thing, name):
            return getattr(thing, name)

    Things.exposed_thing = _Thing()
    if "safe_attrs" in config:
        config["safe_attrs"] = set(config["safe_attrs"])
    return side.serve(Things, protocol_config=config)


def _changes(thing):
    found = []
    for change in (
        lambda: setattr(thing, "value", 2),
        lambda: setattr(thing, "shown", "new"),
        lambda: setattr(thing, "fresh", 3),
        lambda: setattr(thing, "_private", 3),
        lambda: delattr(thing, "value"),
        lambda: delattr(thing, "fresh"),
    ):
        try:
            change()
            found.append("done")
        except AttributeError as error:
            found.append(str(error).splitlines()[0])
    return found


def which_attributes_can_be_read(side):
    every = ["public", "shown", "exposed_shown", "both", "_private", "__len__", "__secret__", "missing", "value"]
    for config, allowed in [
        ({}, {"shown": "shown", "exposed_shown": "shown", "both": "exposed both", "__len__": "object"}),
        (
            {"allow_public_attrs": True},
            {
                **{"public": "public", "shown": "shown", "exposed_shown": "shown", "both": "both", "__len__": "object"},
                "value": 1,
            },
        ),
        ({"allow_safe_attrs": False}, {"shown": "shown", "exposed_shown": "shown", "both": "exposed both"}),
        (
            {"safe_attrs": ["__secret__"], "allow_exposed_attrs": True},
            {"__secret__": "object", "shown": "shown", "exposed_shown": "shown", "both": "exposed both"},
        ),
        (
            {"allow_all_attrs": True},
            {
                **{"public": "public", "shown": "shown", "exposed_shown": "shown", "both": "both", "_private": "private"},
                **{"__len__": "object", "__secret__": "object", "value": 1},
            },
        ),
    ]:
        root = side.connect(side.far(_serve, config)).root
        thing = root.thing
        for name in every:
            if name in allowed:
                value = getattr(thing, name)
                assert (value if isinstance(value, (str, int)) else "object") == allowed[name], (config, name, value)
            else:
                raises(AttributeError, getattr, thing, name)


def which_attributes_can_be_changed(side):
    for config, expected in [
        ({}, [None] * 6),
        ({"allow_setattr": True}, [False, True, False, False, False, False]),
        ({"allow_setattr": True, "allow_public_attrs": True}, [True, True, True, False, False, False]),
        ({"allow_setattr": True, "allow_delattr": True, "allow_public_attrs": True}, [True, True, True, False, True, True]),
        ({"allow_setattr": True, "allow_delattr": True, "allow_all_attrs": True}, [True] * 6),
    ]:
        thing = side.connect(side.far(_serve, config)).root.thing
        outcomes = _changes(thing)
        assert [outcome == "done" for outcome in outcomes] == [bool(value) for value in expected], (config, outcomes)


def changes_of_a_live_connection(side):
    root = side.connect(side.far(_serve, {})).root
    thing = root.thing
    raises(AttributeError, getattr, thing, "public")
    root.configure("allow_public_attrs", True)
    assert thing.public == "public"
    root.configure("allow_public_attrs", False)
    raises(AttributeError, getattr, thing, "public")
    root.configure("allow_all_attrs", True)
    assert thing._private == "private"
    root.configure("allow_setattr", True)
    thing.value = 9
    assert thing.value == 9


def what_not_even_a_service_shows(side):
    for config in ({"allow_exposed_attrs": False}, {"allow_getattr": False}, {"exposed_prefix": "shown_"}):
        root = side.connect(side.far(_serve, config)).root
        raises(AttributeError, getattr, root, "thing")
        raises(AttributeError, getattr, root, "exposed_thing")


def both_sides_have_a_configuration_of_their_own(side):
    conn = side.connect(side.far(_serve, {}))
    mine = _Thing()
    raises(AttributeError, conn.root.get_of, mine, "public")
    conn._config["allow_public_attrs"] = True
    assert conn.root.get_of(mine, "public") == "public"
    raises(AttributeError, conn.root.set_of, mine, "value", 5)
    conn._config["allow_setattr"] = True
    conn.root.set_of(mine, "value", 5)
    assert mine.value == 5


def the_limit_for_a_call(side):
    conn = side.connect(side.far(_serve_slow), config={"sync_request_timeout": 10})
    wait, add = conn.root.wait, conn.root.add
    conn._config["sync_request_timeout"] = 0.1
    error = raises(side.rpyc.AsyncResultTimeout, wait, 0.3)
    assert isinstance(error, TimeoutError) and "expired" in str(error)
    conn._config["sync_request_timeout"] = None
    assert add(1, 2) == 3
    assert wait(0.2) == 0.2


def _serve_slow(side):
    class Slow(side.rpyc.Service):
        def exposed_wait(self, seconds):
            time.sleep(seconds)
            return seconds

        def exposed_add(self, a, b):
            return a + b

    return side.serve(Slow)


def unknown_keys_and_defaults(side):
    rpyc = side.rpyc
    conn = side.connect(side.far(_serve, {"made_up": 1}), config={"also_made_up": 2})
    assert conn.root.read("made_up") == 1
    assert conn._config["also_made_up"] == 2
    defaults = rpyc.core.protocol.DEFAULT_CONFIG
    assert (
        defaults["sync_request_timeout"] == 30 and defaults["allow_pickle"] is False and defaults["exposed_prefix"] == "exposed_"
    )
    assert {key: conn._config[key] for key in ("allow_safe_attrs", "allow_public_attrs")} == {
        "allow_safe_attrs": True,
        "allow_public_attrs": False,
    }
    kept = dict(defaults)
    try:
        defaults["allow_public_attrs"] = True
        defaults["made_up"] = "default"
        later = side.connect(side.far(_serve, {}))
        assert later._config["allow_public_attrs"] is True and later._config["made_up"] == "default"
        assert later.root.get_of(_Thing(), "public") == "public"
        assert conn._config["allow_public_attrs"] is False
    finally:
        defaults.clear()
        defaults.update(kept)


LOGGED = []


def _serve_logging(side):
    class Keep(logging.Handler):
        def emit(self, record):
            LOGGED.append((record.levelname, record.getMessage()))

    logging.disable(logging.NOTSET)
    LOGGED.clear()
    logger = logging.Logger("scenario", logging.DEBUG)
    logger.addHandler(Keep())

    class Failing(side.rpyc.Service):
        def exposed_fail(self):
            raise ValueError("logged")

    return side.serve(Failing, logger=logger, protocol_config={"logger": logger, "log_exceptions": True})


def _logged(side):
    logging.disable(logging.CRITICAL)
    return LOGGED


def exceptions_are_logged(side):
    conn = side.connect(side.far(_serve_logging))
    raises(ValueError, conn.root.fail)
    conn.close()
    messages = [message for _, message in side.far(_logged)]
    assert "Exception caught" in messages
