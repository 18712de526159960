"""Programs that put methods of their own in place of a connection's steps, extend brine, or bind threads.

In all pairings with stock: what such a program sees must not depend on who is on the other side.
"""

import json

import pytest

import binding_scenarios
import netref
import override_scenarios
from netref.core import brine
from pairings import PAIRINGS, run_scenario, scenarios

STEPS = [step for step in scenarios(override_scenarios) if "extend_brine" not in step.values]


@pytest.mark.parametrize(("client", "server"), PAIRINGS)
@pytest.mark.parametrize(("module", "scenario"), STEPS)
def test_steps(peer_processes, client, server, module, scenario):
    service = "extended" if scenario == "extended_brine" else "everyday"
    run_scenario(client, module, scenario, peer_processes(server, service).port)


@pytest.mark.parametrize(("client", "server"), PAIRINGS)
@pytest.mark.parametrize(("module", "scenario"), scenarios(binding_scenarios))
def test_bound_threads(peer_processes, client, server, module, scenario):
    port = peer_processes(server, config=json.dumps({"bind_threads": True})).port
    run_scenario(client, module, scenario, port)


class Answers(netref.Service):
    def exposed_answer(self):
        return 42

    def exposed_call(self, function):
        return function()

    def exposed_show(self, value):
        return len(value)

    def exposed_keep(self, value):
        self.kept = value

    def exposed_show_kept(self):
        return str(self.kept)


def test_a_step_put_into_a_live_connection(serve, connect):
    conn = connect(serve(Answers))
    other = connect(serve(Answers))
    assert conn.root.answer() == 42
    boxed = []

    def box(obj):
        boxed.append(obj)
        return type(conn)._box(conn, obj)

    conn._box = box
    assert conn.root.call(lambda: [1])[0] == 1
    assert [1] in boxed
    seen = len(boxed)
    assert other.root.call(lambda: [1])[0] == 1
    assert len(boxed) == seen


def test_a_step_replaced_for_all_connections(serve, connect, monkeypatch):
    boxed = []
    original = netref.Connection._box

    def box(self, obj):
        boxed.append(obj)
        return original(self, obj)

    monkeypatch.setattr(netref.Connection, "_box", box)
    conn = connect(serve(Answers))
    assert conn.root.answer() == 42
    assert ("answer" in boxed) and (42 in boxed)
    monkeypatch.undo()
    boxed.clear()
    assert connect(serve(Answers)).root.answer() == 42
    assert boxed == []


def test_what_cannot_be_sent_is_an_exception_of_the_call(serve, connect):
    class Boxing(netref.Connection):
        def _box(self, obj):
            if type(obj) is int and obj == 42:
                return 1, [42]  # a list is no plain data
            return super()._box(obj)

    class Boxes(Answers):
        _protocol = Boxing

    conn = connect(serve(Boxes))
    with pytest.raises(TypeError, match="cannot dump"):
        conn.root.answer()
    assert conn.root.call(lambda: 41) == 41


def test_references_are_given_back_by_steps_too(serve, connect):
    class Boxing(netref.Connection):
        def _box(self, obj):
            return super()._box(obj)

    class Boxes(Answers):
        _protocol = Boxing
        connections = []

        def on_connect(self, conn):
            self.connections.append(conn)

    conn = connect(serve(Boxes))
    before = conn.stats()["objects_lent"]
    for _ in range(50):
        conn.root.call(lambda: [1])
    conn.root.answer()
    conn.ping()
    assert conn.stats()["objects_lent"] == before
    assert len(Boxes.connections[0]._local_objects) <= 2  # the service, and perhaps its last bound method


class Failing(netref.Connection):
    """Its steps fail for some messages, after references were lent for them."""

    fails = ""

    def _box(self, obj):
        boxed = super()._box(obj)
        if self.fails == "box" and type(obj) is list:
            raise RuntimeError("box")
        return boxed

    def _send(self, msg, seq, args):
        if self.fails == "send" and self.is_about_a_list(args):
            raise RuntimeError("send")
        if self.fails == "plain" and self.is_about_a_list(args):
            args = (args[0], object()) if msg == 1 else object()  # which the native part refuses
        super()._send(msg, seq, args)
        if self.fails == "afterwards" and self.is_about_a_list(args):
            raise RuntimeError("afterwards")

    @staticmethod
    def is_about_a_list(args):
        return "builtins.list" in repr(args)


@pytest.mark.parametrize("fails", ["box", "send", "plain"])
def test_references_lent_for_a_message_that_is_not_sent_are_taken_back(serve, connect, fails):
    class Local(netref.Service):
        _protocol = Failing

    conn = connect(serve(Answers), service=Local)
    call, show = conn.root.call, conn.root.show
    before = conn.stats()["lent"]
    conn.fails = fails
    for _ in range(3):
        with pytest.raises((RuntimeError, TypeError), match=f"{fails}"):
            show(([1], [2]))
        with pytest.raises((RuntimeError, TypeError), match=f"{fails}"):
            call(lambda: ([1], [2]))
    conn.fails = ""
    assert show(([1], [2])) == 2
    conn.ping()
    assert conn.stats()["lent"] == before


def test_references_in_a_message_that_was_sent_stay_lent_although_its_step_fails(serve, connect):
    class Local(netref.Service):
        _protocol = Failing

    conn = connect(serve(Answers), service=Local)
    keep, show = conn.root.keep, conn.root.show_kept
    conn.fails = "afterwards"
    with pytest.raises(RuntimeError, match="afterwards"):
        keep([1, 2, 3])
    conn.fails = ""
    assert show() == "[1, 2, 3]"


def test_brine_is_native_again_without_its_extension(monkeypatch):
    assert not brine.is_extended()
    monkeypatch.setitem(brine._load_registry, b"\x1f", lambda stream: "extended")
    assert brine.is_extended()
    assert brine.load(b"\x1f") == "extended"
    monkeypatch.undo()
    assert not brine.is_extended()
    with pytest.raises(ValueError, match="0x1f"):
        brine.load(b"\x1f")
