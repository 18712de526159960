"""Iterating over a peer's containers: few round trips, and nobody can tell."""

import asyncio
import threading
import time

import pytest

import iteration_scenarios
import netref
from netref import aio
from pairings import PAIRINGS, run_scenario, scenarios


@pytest.mark.parametrize(("client", "server"), PAIRINGS)
@pytest.mark.parametrize(("module", "scenario"), scenarios(iteration_scenarios))
def test_scenario(peer_processes, client, server, module, scenario):
    run_scenario(client, module, scenario, peer_processes(server).port)


class Containers(netref.Service):
    def exposed_make(self, source):
        return eval(source)

    def exposed_keep(self, source):
        self.kept = eval(source)
        return self.kept

    def exposed_nothing(self):
        pass

    def exposed_replace(self, index, item):
        self.kept[index] = item


@pytest.fixture
def conn(serve, connect):
    return connect(serve(Containers))


@pytest.fixture
def trips(conn):
    def count(operation):
        before = conn.stats()["round_trips"]
        operation()
        return conn.stats()["round_trips"] - before

    return count


@pytest.mark.parametrize("source", ["list(range(10_000))", "set(range(10_000))", "dict.fromkeys(range(10_000))", "range(10_000)"])
def test_a_large_container_takes_few_round_trips(conn, trips, source):
    container = conn.root.make(source)
    sum(container)
    assert trips(lambda: sum(container)) <= 7


def test_generators_are_not_read_ahead(conn, trips):
    generator = conn.root.make("(i for i in range(10))")
    assert trips(lambda: next(generator)) == 1
    assert trips(lambda: [next(generator) for _ in range(5)]) == 5


def test_the_first_item_alone_is_one_trip(conn, trips):
    numbers = conn.root.make("[1, 2, 3]")
    assert trips(lambda: next(iter(numbers))) == 2  # __iter__ and __next__


def test_calls_between_items_cost_nothing_more_where_nobody_else_has_the_container(conn, trips):
    numbers = conn.root.make("list(range(1000))")

    def loop():
        for _ in numbers:
            conn.root.nothing()

    assert trips(loop) <= 1000 + 8


def test_calls_between_items_end_it_where_the_owner_keeps_the_container(conn, trips):
    numbers = conn.root.keep("list(range(100))")

    def loop():
        for _ in numbers:
            conn.root.nothing()

    assert 200 <= trips(loop) <= 210


def _replace_awaiting(conn, index, item):
    async def replace():
        await aio.wrap(conn.root).replace(index, item)

    asyncio.run(replace())


def _replace_in_a_batch(conn, index, item):
    with conn.batch() as batch:
        batch.root.replace(index, item)


WAYS_TO_REPLACE = {
    "call": lambda conn, *args: conn.root.replace(*args),
    "async": lambda conn, *args: netref.async_(conn.root.replace)(*args).wait(),
    "await": _replace_awaiting,
    "batch": _replace_in_a_batch,
    "low level": lambda conn, *args: conn.async_request(netref.core.consts.HANDLE_CALL, conn.root.replace, args).wait(),
}


@pytest.mark.parametrize("way", WAYS_TO_REPLACE)
def test_what_is_replaced_by_any_request_is_seen(conn, way):
    numbers = conn.root.keep("list(range(100))")
    taken = []
    for number in numbers:
        taken.append(number)
        if number == 50:
            WAYS_TO_REPLACE[way](conn, 51, "replaced")
    assert taken == [*range(51), "replaced", *range(52, 100)]


class HeldUp(netref.SocketStream):
    """A stream that gives nothing of what has come while it is held up."""

    def __init__(self, sock):
        super().__init__(sock)
        self.flows = threading.Event()
        self.flows.set()

    def read(self, count):
        data = super().read(count)
        self.flows.wait()
        return data


def test_what_is_replaced_while_the_reply_is_on_its_way_is_seen(serve):
    """The owner answers with what comes next, then replaces an item, and only after that the answer arrives."""
    has_replaced = threading.Event()

    class Replacing(Containers):
        def exposed_replace(self, index, item):
            super().exposed_replace(index, item)
            has_replaced.set()

    stream = HeldUp.connect("127.0.0.1", serve(Replacing).port)
    with netref.connect_stream(stream) as conn:
        iterator = iter(conn.root.keep("list(range(100))"))
        replace = netref.async_(conn.root.replace)
        taken = [next(iterator)]

        def take_the_rest():
            for number in iterator:
                taken.append(number)  # extend() would ask for the length first

        trips = conn.stats()["round_trips"]
        stream.flows.clear()
        iterating = threading.Thread(target=take_the_rest)
        iterating.start()
        while conn.stats()["round_trips"] == trips:
            time.sleep(0.001)
        result = replace(2, "replaced")
        has_replaced.wait()
        stream.flows.set()
        iterating.join()
        result.wait()
    assert taken == [0, 1, "replaced", *range(3, 100)]


def test_programs_that_see_each_request_see_each_item(serve):
    class Seeing(netref.Connection):
        def sync_request(self, handler, *args):
            seen.append(handler)
            return super().sync_request(handler, *args)

    class Sees(netref.VoidService):
        _protocol = Seeing

    seen = []
    server = serve(Containers)
    with netref.connect("127.0.0.1", server.port, service=Sees) as conn:
        numbers = conn.root.make("[1, 2, 3]")
        seen.clear()
        assert [*numbers] == [1, 2, 3]
        assert seen.count(netref.core.consts.HANDLE_CALLATTR) >= 5


def test_threads_that_share_an_iterator(conn):
    numbers = conn.root.make("list(range(5000))")
    iterator = iter(numbers)
    taken = []
    lock = threading.Lock()

    def take():
        mine = list(iterator)
        with lock:
            taken.extend(mine)

    threads = [threading.Thread(target=take) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == list(range(5000))


def test_references_of_items_read_ahead_are_given_back(conn):
    before = conn.stats()
    for number, _ in enumerate(conn.root.make("[[i] for i in range(500)]")):
        if number == 50:
            break
    del _
    conn.root.nothing()
    conn.ping()
    after = conn.stats()
    assert after["references_released"] - before["references_released"] >= 100
