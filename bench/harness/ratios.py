"""From rounds to figures. Only ratios taken inside one round survive a noisy machine; see README.md."""

from dataclasses import dataclass
from operator import attrgetter
from statistics import median, quantiles

BASELINE = "stock"
#: A pairing of two faces of netref, and the pairings of each face with itself.
PURE = {"rust:netref": ("rust", "netref"), "netref:rust": ("rust", "netref")}


@dataclass(frozen=True)
class Ratio:
    """Median and quartiles of per-round quotients."""

    median: float
    low: float
    high: float


@dataclass(frozen=True)
class Summary:
    """One pairing's figures for one operation; None where there is nothing to compare with."""

    wall_us: float
    cpu_client_us: float
    cpu_server_us: float
    cpu_us: float
    wall_vs_stock: Ratio | None  # how many times faster than stock at both ends
    cpu_vs_stock: Ratio | None
    times_floor: Ratio | None  # how many times slower than bare sockets in the client's language
    cpu_times_floor: Ratio | None = None
    times_slower_pure: Ratio | None = None  # of a mixed pairing: how many times slower than the slower of the pure ones
    cpu_times_slower_pure: Ratio | None = None
    slowest_ms: float | None = None  # the slowest operation of a round


def summarise(lanes):
    """Pairing key -> Summary, for the lanes that have samples."""
    samples = {lane.pairing.key: lane.samples for lane in lanes if lane.samples}
    summaries = {}
    for lane in lanes:
        if lane.samples:
            key = lane.pairing.key
            pure = [samples.get(name) for name in PURE.get(key, ())]
            summaries[key] = summary(lane.samples, samples.get(BASELINE), samples.get(lane.pairing.client.floor), pure)
    return summaries


def summary(own, stock, floor, pure=()):
    rounds = own.values()
    stalls = [sample.slowest for sample in rounds if sample.slowest is not None]
    return Summary(
        wall_us=median(sample.wall for sample in rounds),
        cpu_client_us=median(sample.cpu_client for sample in rounds),
        cpu_server_us=median(sample.cpu_server for sample in rounds),
        cpu_us=median(sample.cpu for sample in rounds),
        wall_vs_stock=ratio(stock, own, "wall"),
        cpu_vs_stock=ratio(stock, own, "cpu"),
        times_floor=ratio(own, floor, "wall"),
        cpu_times_floor=ratio(own, floor, "cpu"),
        times_slower_pure=ratio(own, slower(pure, "wall"), "wall"),
        cpu_times_slower_pure=ratio(own, slower(pure, "cpu"), "cpu"),
        slowest_ms=median(stalls) / 1000 if stalls else None,
    )


def slower(pairings, field):
    """Round number -> the slower sample of that round; None unless all of the pairings were measured."""
    if not pairings or None in pairings:
        return None
    common = set.intersection(*(set(samples) for samples in pairings))
    return {number: max((samples[number] for samples in pairings), key=attrgetter(field)) for number in common}


def ratio(above, below, field):
    """Median over the rounds that both have of above / below."""
    if above is None or below is None:
        return None
    quotients = [
        getattr(above[number], field) / getattr(below[number], field)
        for number in above.keys() & below.keys()
        if getattr(below[number], field) > 0
    ]
    if not quotients:
        return None
    if len(quotients) == 1:
        return Ratio(quotients[0], quotients[0], quotients[0])
    low, _, high = quantiles(quotients, n=4, method="inclusive")
    return Ratio(median(quotients), low, high)
