"""The test's end of an agent: operations that read like calls, and errors that come back as exceptions."""

import itertools
import json
import time
from typing import NamedTuple

import tagged
from peers import START_TIMEOUT, Hung, Process

OPERATION_TIMEOUT = 20
RELEASE_TIMEOUT = 5


class Handle(NamedTuple):
    """An object that the agent keeps: "ref" is a remote one, "local" one of its own."""

    kind: str
    number: int


class PeerError(Exception):
    """An error that an operation raised in the agent."""

    def __init__(self, data):
        super().__init__(f"{data['type']} ({'remote' if data['remote'] else 'local'}): {data['message']}")
        self.type = data["type"]
        self.values = tuple(decode(item) for item in data["args"])
        self.attrs = {name: decode(item) for name, item in data["attrs"].items()}
        self.remote = data["remote"]
        self.traceback = data["traceback"]


class Fault(Exception):
    """The test asked the agent for something that does not exist."""


class Agent:
    """A client process that carries out operations for tests."""

    def __init__(self, peer, stderr_path):
        self.peer = peer
        self.process = Process(peer.command("agent"), stderr_path)
        self._numbers = itertools.count(1)
        hello = json.loads(self.process.receive(START_TIMEOUT))
        self.implementation = (hello["implementation"], hello["version"])

    def do(self, operation, *args, conn=None, **kwargs):
        number = next(self._numbers)
        request = {
            "id": number,
            "conn": conn,
            "op": operation,
            "args": [encode(item) for item in args],
            "kwargs": {name: encode(item) for name, item in kwargs.items()},
        }
        self.process.send(json.dumps(request))
        try:
            reply = json.loads(self.process.receive(OPERATION_TIMEOUT))
        except Hung as hung:
            raise Hung(f"{operation!r} with {len(args)} arguments: {hung}") from None
        if reply["id"] != number:
            raise Fault(f"the agent answered request {reply['id']} instead of {number}")
        if "fault" in reply:
            raise Fault(reply["fault"])
        if "error" in reply:
            raise PeerError(reply["error"])
        return decode(reply["ok"])


class Link:
    """A connection from an agent to a server, with the server's root at hand."""

    def __init__(self, agent, server, policy="public"):
        self.agent = agent
        self.server = server
        wire = {"wire": agent.peer.wire} if agent.peer.wire else {}
        self.number = agent.do("connect", "127.0.0.1", server.port, policy=policy, **wire)
        self.root = self.do("root")

    def do(self, operation, *args, **kwargs):
        """Let the agent perform an operation over this connection."""
        return self.agent.do(operation, *args, conn=self.number, **kwargs)

    def call(self, name, *args, **kwargs):
        """Call a method of the remote service."""
        return self.do("method", self.root, name, *args, **kwargs)

    def close(self):
        self.agent.do("close", self.number)

    def is_alive(self):
        """Whether the connection still carries calls."""
        return self.call("add", 20, 22) == 42


class ClientDrives:
    """The client operates on objects of the server."""

    def __init__(self, link):
        self.link = link
        self.caller, self.owner = link.agent.peer.name, link.server.peer.name

    def make(self, kind, *args):
        return self.link.call("make", kind, *args)

    def do(self, operation, *args, **kwargs):
        return self.link.do(operation, *args, **kwargs)

    def hold(self, handle):
        """Let the caller keep a reference to `handle`; an agent does so anyway."""

    def release(self, handle):
        self.link.agent.do("drop", handle)

    def live(self, tag):
        """How many objects with `tag` the owner still has."""
        return self.link.call("live", tag)


class ServerDrives:
    """The server operates on objects of the client, while the client waits for it."""

    def __init__(self, link):
        self.link = link
        self.caller, self.owner = link.server.peer.name, link.agent.peer.name

    def make(self, kind, *args):
        return self.link.do("make", kind, *args)

    def do(self, operation, *args, **kwargs):
        return self.link.call("operate", operation, *args, **kwargs)

    def hold(self, handle):
        """Let the caller keep a reference to `handle`; the service otherwise has it for one call only."""
        self.link.call("remember", handle)

    def release(self, handle):
        self.link.agent.do("drop", handle)
        self.link.call("forget")

    def live(self, tag):
        """How many objects with `tag` the owner still has; the ping lets it serve what is waiting."""
        self.link.do("ping", "releases first")
        return self.link.do("live", tag)


def becomes(wanted, observe):
    """Poll `observe` until it gives `wanted`: a release is announced by nothing that one could wait for."""
    deadline = time.monotonic() + RELEASE_TIMEOUT
    while (seen := observe()) != wanted and time.monotonic() < deadline:
        time.sleep(0.002)
    return seen == wanted


def encode(value):
    return tagged.encode(value, _refer)


def decode(data):
    return tagged.decode(data, lambda handle: Handle(handle["t"], handle["id"]))


def _refer(value):
    if not isinstance(value, Handle):
        raise Fault(f"{value!r} has no by-value form; make it in the agent and pass its handle")
    return {"t": value.kind, "id": value.number}
