"""Calls from both sides, one inside the other, and helpers around them."""

import threading

import pytest

import netref
from netref import BgServingThread, async_, buffiter, restricted


def test_line_counter(root, tmp_path):
    path = tmp_path / "file"
    path.write_text("a\nb\n")
    lines = []
    with path.open() as file:
        assert len(root.each(file)) == 2
        file.seek(0)
        root.call(lambda: lines.extend(file))
    assert lines == ["a\n", "b\n"]


@pytest.mark.parametrize("depth", [1, 2, 3, 10, 50])
def test_nested_in_both_directions(root, depth):
    def partner(bounce, left):
        return 0 if left == 0 else 1 + bounce(partner, left - 1)

    assert root.bounce(partner, depth) == depth


def test_nested_exceptions_come_through_all_levels(root):
    def partner(bounce, left):
        if left == 0:
            raise LookupError("at the bottom")
        return bounce(partner, left - 1)

    with pytest.raises(LookupError, match="at the bottom") as caught:
        root.bounce(partner, 9)
    assert str(caught.value).count("Remote Traceback") >= 9


def test_callback_runs_on_the_thread_that_waits(root):
    assert root.call(threading.get_ident) == threading.get_ident()


def test_arguments_of_all_kinds(root):
    def collect(*args, **kwargs):
        return args, tuple(kwargs.items())

    assert root.call(collect, 1, "two", (3.0, None), k=b"v", name=1) == ((1, "two", (3.0, None)), (("k", b"v"), ("name", 1)))


def test_references_come_back_as_themselves(root):
    local = ["mine"]
    assert root.echo(local) is local
    assert root.echo((local, (local,))) == (local, (local,))
    root.keep(local)
    assert root.kept() is local
    root.keep(None)
    theirs = root.make("list")
    assert root.echo(theirs) is theirs


def test_methods_classes_and_modules_as_arguments(root):
    numbers = [3, 1]
    root.call(numbers.append, 2)
    assert numbers == [3, 1, 2]
    assert root.call(int, "7") == 7
    assert root.echo(threading) is threading
    assert root.call(sorted, numbers) == [1, 2, 3]  # a list that never leaves this side


def test_generator_as_argument(root):
    generated = root.each(n * n for n in range(5))
    assert list(generated) == [0, 1, 4, 9, 16]


@pytest.mark.differs("an idle client answers nobody")
def test_idle_client_answers(pair):
    """Nobody waits or serves here, and still a call from the other side is answered."""

    class Client(netref.Service):
        def exposed_name(self):
            return "idle client"

    _, server_end = pair(client_service=Client)
    assert server_end.root.name() == "idle client"


def test_callback_kept_and_called_later(pair):
    called = threading.Event()

    class Keeper(netref.Service):
        def exposed_keep(self, function):
            threading.Thread(target=async_(function), args=("later",)).start()

    client, _ = pair(Keeper)
    client.root.keep(lambda word: called.set())
    assert called.wait(10)


def test_bg_serving_thread(conn):
    thread = BgServingThread(conn)
    called = threading.Event()
    assert thread._active
    conn.root.call(called.set)
    assert called.is_set()
    thread.stop()
    assert not thread._active
    with pytest.raises(AssertionError):
        thread.stop()
    assert conn.root.echo(1) == 1  # the connection stays


def test_bg_serving_thread_tells_of_the_end(serve, connect):
    server = serve(netref.VoidService)
    conn = connect(server)
    conn.ping()
    ended = threading.Event()
    thread = BgServingThread(conn, ended.set)
    server.close()
    assert ended.wait(10)
    assert not thread._active


@pytest.mark.parametrize("options", [{}, {"chunk": 1, "factor": 1}, {"chunk": 3, "max_chunk": 4}, {"chunk": 1000}])
def test_buffiter(root, options):
    assert list(buffiter(root.make("range"), **options)) == list(range(100))


def test_buffiter_of_an_iterator_goes_on_where_it_was(root):
    iterator = root.make("iterator")
    assert next(iterator) == 0
    assert list(buffiter(iterator)) == list(range(1, 25))
    assert list(buffiter(iterator)) == []


@pytest.mark.differs("counts with stats()")
def test_buffiter_saves_round_trips(conn):
    numbers = conn.root.make("range")
    before = conn.stats()["round_trips"]
    assert len(list(buffiter(numbers, chunk=50))) == 100
    assert conn.stats()["round_trips"] - before <= 6


def test_buffiter_bad_factor(root):
    with pytest.raises(ValueError, match="factor"):
        list(buffiter(root.make("range"), factor=0.5))


def test_buffiter_error_in_between(root):
    numbers = buffiter(root.generate(5), chunk=2, factor=1)
    received = []
    with pytest.raises(ValueError, match="out of numbers"):
        received.extend(numbers)
    assert received == [0, 1, 2, 3]


class Diary:
    def __init__(self):
        self.public = "anyone"
        self.private = "nobody"


def test_restricted(pair):
    diary = Diary()

    class Shows(netref.Service):
        exposed_diary = restricted(diary, ["public", "missing"], ["public"])
        exposed_readable = restricted(diary, ["public"], [])

    client, _ = pair(Shows, {"allow_setattr": True, "allow_all_attrs": True})
    shown = client.root.diary
    assert shown.public == "anyone"
    for name in ("private", "__dict__", "_restricted__obj"):
        with pytest.raises(AttributeError, match=name):
            getattr(shown, name)
    shown.public = "somebody"
    assert diary.public == "somebody"
    for target, name in ((shown, "private"), (client.root.readable, "public")):
        with pytest.raises(AttributeError, match=name):
            setattr(target, name, "x")


def test_restricted_for_both_by_default():
    shown = restricted(Diary(), ["public"])
    shown._rpyc_setattr("public", 1)
    assert shown.public == 1


def test_chained_connections(serve, connect, peer_processes):
    """A client of a server that is a client of another: each hop stands in for the next."""
    back = peer_processes("netref")

    class Middle(netref.Service):
        def on_connect(self, conn):
            self._next = netref.connect("127.0.0.1", back.port, config={"allow_public_attrs": True})

        def on_disconnect(self, conn):
            self._next.close()

        def exposed_beyond(self):
            return self._next.root

    root = connect(serve(Middle, protocol_config={"allow_all_attrs": True})).root.beyond()
    assert root.add(1, 2) == 3
    numbers = root.make("list")
    assert (len(numbers), list(numbers), numbers[1:]) == (3, [1, 2, 3], numbers[1:])
    assert 2 in numbers
    assert isinstance(numbers, list)
    assert root.call(lambda x: x + 1, 1) == 2
    assert root.echo(numbers) is numbers
    local = object()
    assert root.echo(local) is local
    with pytest.raises(KeyError, match="nothing"):
        root.fail(lambda: {}["nothing"])
