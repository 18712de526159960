"""`conn.stats()`, and that what is said to take one round trip does."""

import operator

import pytest

import netref


class Counted(netref.Service):
    exposed_number = 5

    def exposed_echo(self, value):
        return value

    def exposed_rows(self):
        return [{"a": 1}]

    def exposed_twice(self, function):
        return function(1) + function(2)

    @netref.by_value
    def exposed_copied(self):
        return [{"a": 1}]


@pytest.fixture
def ends(pair):
    client, server = pair(Counted)
    client.root.echo(0)  # what is needed once, such as knowing the root
    return client, server


def difference(before, after):
    """What has changed, and by how much."""
    return {name: after[name] - before[name] for name, value in before.items() if type(value) is int and after[name] != value}


def test_every_counter_of_one_call(ends):
    client, server = ends
    before, before_there = client.stats(), server.stats()
    client.root.echo("x" * 100)  # not in an assertion, where pytest looks the method up first
    here, there = difference(before, client.stats()), difference(before_there, server.stats())
    assert here.pop("bytes_out") > 100 < here.pop("bytes_in")
    assert here == {"calls": 1, "round_trips": 1, "messages_out": 1, "messages_in": 1}
    assert there.pop("bytes_out") > 100 < there.pop("bytes_in")
    assert there == {"requests_served": 1, "messages_out": 1, "messages_in": 1}
    assert client.stats()["bytes_out"] == server.stats()["bytes_in"]


ONE_TRIP = {
    "a method": lambda root: root.echo(1),
    "an attribute": lambda root: root.number,
    "a by-value result": lambda root: root.copied(),
    "repr": repr,
    "dir": dir,
    "hash": hash,
    "==": lambda root: root == 1,
}


@pytest.mark.parametrize("operation", ONE_TRIP)
def test_one_round_trip(ends, operation):
    client, _ = ends
    root = client.root
    before = client.stats()
    ONE_TRIP[operation](root)
    assert client.stats()["round_trips"] - before["round_trips"] == 1


@pytest.mark.parametrize(
    "operation", [len, netref.copy, lambda rows: rows[0], lambda rows: 5 in rows, operator.itemgetter(0)], ids=str
)
def test_one_round_trip_for_a_list(ends, operation):
    client, _ = ends
    rows = client.root.rows()
    before = client.stats()
    operation(rows)
    assert client.stats()["round_trips"] - before["round_trips"] == 1


def test_callbacks_are_requests_served(ends):
    client, server = ends
    before, before_there = client.stats(), server.stats()
    client.root.twice(lambda x: x)
    here, there = difference(before, client.stats()), difference(before_there, server.stats())
    assert (here["calls"], here["round_trips"], here["requests_served"]) == (1, 1, 2)
    assert (there["calls"], there["round_trips"], there["requests_served"]) == (2, 2, 1)


def test_references_by_class(ends):
    client, server = ends
    rows = client.root.rows()
    row = rows[0]
    assert client.stats()["held"] == {"builtins.list": 1, "builtins.dict": 1, "conftest.Counted": 1}
    assert server.stats()["lent"] == {"builtins.list": 1, "builtins.dict": 1, "conftest.Counted": 1}
    assert server.stats()["objects_lent"] == 3
    del row
    client.root.echo(1)
    assert client.stats()["held"] == {"builtins.list": 1, "conftest.Counted": 1}
    assert server.stats()["lent"] == {"builtins.list": 1, "conftest.Counted": 1}


def test_pending(ends):
    client, _ = ends
    with client.batch() as batch:
        results = [batch.root.echo(n) for n in range(3)]
        assert client.stats()["pending"] == 3
        assert client.stats()["queued_bytes"] > 0
    assert [result.value for result in results] == [0, 1, 2]
    assert client.stats()["pending"] == client.stats()["queued_bytes"] == 0
