"""A pickle that a peer has made runs what the peer put into it. None is loaded without this side's own consent, by any path."""

import copy
import multiprocessing.reduction
import pickle

import pytest

import netref
from hostile import EXCEPTION, REPLY, REQUEST, by_value, hostile_server, message, of_peer
from netref import classic
from netref.core import brine, consts

#: What any path to a pickle comes to.
REFUSALS = (ValueError, TypeError, AttributeError, netref.GenericException)


class Evil:
    """Leaves a trace where it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


@pytest.fixture
def trace(tmp_path):
    return tmp_path / "trace"


@pytest.fixture
def evil(trace):
    """A proxy of an object of a peer that answers every PICKLE with a bomb, and has methods that pickling asks for."""
    bomb = pickle.dumps(Evil(trace))
    names = "__array__ __reduce__ __reduce_ex__ __call__ __getstate__ __setstate__ __iter__ __len__".split()
    methods = tuple((name, None) for name in names)

    def behave(peer):
        while True:
            kind, seq, body = peer.receive()
            if kind != REQUEST:
                continue
            answers = {
                consts.HANDLE_GETROOT: of_peer(("evil.Thing", 1, 2)),
                consts.HANDLE_INSPECT: by_value(methods),
                consts.HANDLE_PICKLE: by_value(bomb),
                consts.HANDLE_CALL: by_value(bomb),
                consts.HANDLE_CALLATTR: by_value(bomb),
            }
            if body[0] == consts.HANDLE_GETATTR:
                peer.send(message(EXCEPTION, seq, brine.dump((("builtins", "AttributeError"), ("no",), (), ""))))
            else:
                peer.send(message(REPLY, seq, answers.get(body[0], by_value(None))))

    with hostile_server(behave) as port:
        conns = []

        def make(**config):
            conns.append(netref.connect("127.0.0.1", port, config={"sync_request_timeout": 10, **config}))
            return conns[-1].root

        yield make
        for conn in conns:
            conn.close()


PATHS = {
    "array": lambda proxy: proxy.__array__(),
    "reduce": lambda proxy: proxy.__reduce_ex__(2),
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "deepcopy_within": lambda proxy: copy.deepcopy([{"key": proxy}]),
    "pickle": lambda proxy: pickle.loads(pickle.dumps(proxy)),
    "pickle_within": lambda proxy: pickle.loads(pickle.dumps((1, [proxy]), 5)),
    "obtain": classic.obtain,
    "multiprocessing": lambda proxy: pickle.loads(bytes(multiprocessing.reduction.ForkingPickler.dumps(proxy))),
}


@pytest.mark.parametrize("path", PATHS)
def test_nothing_is_loaded(evil, trace, path):
    proxy = evil()
    with pytest.raises(REFUSALS):
        PATHS[path](proxy)
    assert not trace.exists()


@pytest.mark.parametrize("path", ["array", "copy", "deepcopy", "pickle", "multiprocessing"])
def test_with_consent_it_is(evil, trace, path):
    """So the tests above do test something."""
    proxy = evil(allow_pickle=True)
    result = None
    try:
        result = PATHS[path](proxy)
    except REFUSALS + (EOFError,):
        pass
    assert trace.exists()
    del result


def test_callback_to_a_peer_that_wants_to_deliver(trace):
    """A peer cannot have this side load what it sends, by any function that this side exposes by default."""

    def behave(peer):
        while True:
            kind, seq, body = peer.receive()
            if kind == REQUEST and body[0] == consts.HANDLE_GETROOT:
                root = peer.root()
                for name in ("loads", "_rpyc_getattr", "__reduce_ex__", "deliver"):
                    try:
                        peer.getattr(root, name)
                    except Exception as error:
                        assert "AttributeError" in str(error)
                peer.send(message(REPLY, seq, by_value("done")))
            else:
                peer.send(message(REPLY, seq, by_value(None)))

    with hostile_server(behave) as port:
        conn = netref.connect("127.0.0.1", port, config={"sync_request_timeout": 10})
        assert conn.root == "done"
        conn.close()
    assert not trace.exists()


def test_deliver_needs_the_consent_of_the_receiver(pair):
    client, _ = pair()
    with pytest.raises((AttributeError, ValueError, netref.GenericException)):
        classic.deliver(client, [1, 2])


def test_numbers_of_references_are_counters(pair):
    class Lends(netref.Service):
        def exposed_item(self, index):
            return self.things[index]

        def on_connect(self, conn):
            self.things = [object() for _ in range(3)]

    client, _ = pair(Lends)
    packs = [client.root.item(index).____id_pack__ for index in range(3)]
    numbers = [number for _, *pair_of in packs for number in pair_of]
    assert all(0 < number < 100 for number in numbers)
