"""What references cost: the growth of both processes while they are held, and what is left of it once they are dropped."""

from dataclasses import dataclass
from pathlib import Path
from resource import getpagesize

from .workers import Refused, Unsupported, WorkerLost

REFERENCES_IN_A_BODY = 1000


@dataclass(frozen=True)
class Held:
    """Bytes of resident memory for one reference, and the share of them that did not come back."""

    bytes_client: float
    bytes_server: float
    left_client: float
    left_server: float


class MemoryLane:
    """One pairing's part. Where `rounds.Lane` has samples, this has one figure."""

    def __init__(self, pairing, client, server):
        self.pairing = pairing
        self.samples = {}
        self.unsupported = self.failure = self.held = None
        self._client, self._server = client, server

    def measure(self, parameters):
        try:
            self._client.ask(do="prepare", host="127.0.0.1", port=self._server.identity["port"], **parameters)
            self._hold(REFERENCES_IN_A_BODY)  # so that what is made once is there
            self._client.ask(do="drop")
            self.held = self._figures(parameters["n"])
            self._client.ask(do="finish")
        except Unsupported as reason:
            self.unsupported = str(reason)
        except (Refused, WorkerLost) as failure:
            self.failure = str(failure)

    def _figures(self, count):
        before = self._resident()
        self._hold(count)
        held = self._resident()
        self._client.ask(do="drop")
        after = self._resident()
        grown = [b - a for a, b in zip(before, held, strict=True)]
        left = [(b - a) / max(growth, 1) for a, b, growth in zip(before, after, grown, strict=True)]
        return Held(*(growth / count for growth in grown), *(max(0, share) for share in left))

    def _hold(self, count):
        for _ in range(count // REFERENCES_IN_A_BODY):
            self._client.ask(do="go", repeat=1)

    def _resident(self):
        return [resident(worker.identity["pid"]) for worker in (self._client, self._server)]


def measure(operation, crew, plan):
    """Lanes of all pairings that have references, and pairing key -> Held. Each has processes of its own, for in one that has
    worked before, there is room without growth."""
    lanes = []
    for pairing in crew.present:
        if operation.suits(pairing) and not pairing.is_floor:
            with crew.fresh(pairing) as (client, server):
                lanes.append(MemoryLane(pairing, client, server))
                lanes[-1].measure(operation.parameters(plan.quick))
    return lanes, {lane.pairing.key: lane.held for lane in lanes if lane.held}


def resident(pid):
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * getpagesize()
