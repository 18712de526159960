"""One operation, all pairings, in rounds: each round runs every pairing once, so that noise meets all alike."""

import time
from dataclasses import dataclass

from .workers import Refused, Unsupported, WorkerLost

SETTLE_SECONDS = 0.005
MOST_REPEATS = 100_000


@dataclass(frozen=True)
class Plan:
    rounds: int
    seconds: float  # one pairing's share of a round, where the operation is not longer by itself
    quick: bool


@dataclass(frozen=True)
class Sample:
    """Microseconds per operation, in one round."""

    wall: float
    cpu_client: float
    cpu_server: float
    slowest: float | None = None  # of the operations, where the worker tells

    @property
    def cpu(self):
        return self.cpu_client + self.cpu_server


class Lane:
    """One pairing's part in the measurement of one operation, over one connection."""

    def __init__(self, pairing, client, server):
        self.pairing = pairing
        self.samples = {}  # round number -> Sample
        self.unsupported = None
        self.failure = None
        self.lost_a_worker = False
        self._client = client
        self._server = server
        self._n = self._repeat = 0

    @property
    def running(self):
        return self.failure is None and self.unsupported is None

    def attempt(self, step, *arguments):
        """Run a step of this lane; when it fails, the lane is out and the others go on."""
        if not self.running:
            return
        try:
            step(*arguments)
        except Unsupported as reason:
            self.unsupported = str(reason)
        except (Refused, WorkerLost) as failure:
            self.failure = str(failure)
            self.lost_a_worker = isinstance(failure, WorkerLost)

    def prepare(self, parameters, plan):
        """Connect, warm up, and find how often the body fits into this lane's share of a round."""
        port = self._server.identity["port"]
        self._client.ask(do="prepare", host="127.0.0.1", port=port, **parameters)
        self._n = parameters["n"]
        seconds = self._go(1)
        if seconds < plan.seconds:
            seconds = self._go(1)
        self._repeat = max(1, min(MOST_REPEATS, round(plan.seconds / seconds)))

    def run(self, number):
        client, server = self._client.cpu_seconds(), self._server.cpu_seconds()
        answer = self._ask_to_go(self._repeat)
        client, server = self._client.cpu_seconds() - client, self._server.cpu_seconds() - server
        per_operation = 1e6 / (self._repeat * self._n)
        slowest = answer["slowest"] * 1e6 if "slowest" in answer else None
        self.samples[number] = Sample(answer["wall"] * per_operation, client * per_operation, server * per_operation, slowest)
        time.sleep(SETTLE_SECONDS)

    def finish(self):
        self._client.ask(do="finish")

    def _go(self, repeat):
        return self._ask_to_go(repeat)["wall"]

    def _ask_to_go(self, repeat):
        return self._client.ask(do="go", repeat=repeat)


def measure(operation, crew, plan):
    """The lanes of all present pairings, measured."""
    crew.revive()
    lanes = []
    for pairing in crew.present:
        parameters = (operation.floor_parameters if pairing.is_floor else operation.parameters)(plan.quick)
        if parameters is not None and operation.suits(pairing):
            lane = Lane(pairing, crew.client(pairing), crew.server(pairing))
            lane.attempt(lane.prepare, parameters, plan)
            lanes.append(lane)
    for number in range(plan.rounds):
        for lane in rotated(lanes, number):
            lane.attempt(lane.run, number)
    for lane in lanes:
        lane.attempt(lane.finish)
        if lane.lost_a_worker:
            # Which end hung is not known; the next operation gets a fresh server with its fresh client.
            crew.server(lane.pairing).stop()
    return lanes


def rotated(lanes, number):
    """Each round starts with another lane, so that none always follows the same neighbour's wake."""
    start = number % len(lanes) if lanes else 0
    return lanes[start:] + lanes[:start]
