"""From rounds to figures. Only ratios taken inside one round survive a noisy machine; see README.md."""

from dataclasses import dataclass
from statistics import median, quantiles

BASELINE = "stock"
FLOOR = "raw-rust"


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
    times_floor: Ratio | None  # how many times slower than bare Rust TCP


def summarise(lanes):
    """Pairing key -> Summary, for the lanes that have samples."""
    samples = {lane.pairing.key: lane.samples for lane in lanes if lane.samples}
    return {key: summary(own, samples.get(BASELINE), samples.get(FLOOR)) for key, own in samples.items()}


def summary(own, stock, floor):
    rounds = own.values()
    return Summary(
        wall_us=median(sample.wall for sample in rounds),
        cpu_client_us=median(sample.cpu_client for sample in rounds),
        cpu_server_us=median(sample.cpu_server for sample in rounds),
        cpu_us=median(sample.cpu for sample in rounds),
        wall_vs_stock=ratio(stock, own, "wall"),
        cpu_vs_stock=ratio(stock, own, "cpu"),
        times_floor=ratio(own, floor, "wall"),
    )


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
