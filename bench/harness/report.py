"""The printed report and the JSON report of a run."""

import dataclasses

from . import goals
from .crew import PLACEMENTS
from .machine import uneven_pythons
from .operations import OPERATIONS

COLUMNS = ("", "us", "cpu us", "(client + server)", "vs stock", "(quartiles)", "cpu vs stock", "x floor", "cpu x floor")
WIDTHS = (42, 11, 11, 23, 10, 16, 14, 9, 13)
MEMORY_COLUMNS = ("", "client", "server", "left: client", "server")


def header(machine, identities, settings):
    yield f"machine    {machine['cpu']}, {machine['cpus']} CPUs, {machine['kernel']}, load {machine['load_at_start']}"
    for key, identity in identities.items():
        yield f"{key:<11}{identity['version']} on {identity['runtime']}"
    yield (
        f"plan       {settings['rounds']} rounds, {settings['seconds']:g} s per pairing and round"
        + (", quick" if settings["quick"] else "")
    )
    if uneven := uneven_pythons(identities):
        yield f"WARNING    the interpreters differ ({uneven}): ratios to stock compare these, too"


def table(operation, lanes, summaries, quick):
    """One operation in one placement."""
    parameters = operation.parameters(quick)
    asked = ", ".join(f"{name} {parameters[name]:,}" for name in ("n", "size") if parameters[name])
    yield f"({operation.letter}) {operation.title}, per {operation.unit} ({asked})"
    yield row(MEMORY_COLUMNS if operation.takes_memory else COLUMNS)
    for lane in lanes:
        if lane.pairing.key in summaries:
            own = summaries[lane.pairing.key]
            yield row(memory_figures(lane.pairing, own) if operation.takes_memory else figures(lane.pairing, own))
        if lane.unsupported:
            yield f"  {lane.pairing.title:<{WIDTHS[0]}}not offered by the worker: {lane.unsupported}"
        if lane.failure:
            yield f"  {lane.pairing.title:<{WIDTHS[0]}}FAILED: {in_short(lane.failure)}"


def figures(pairing, summary):
    wall, cpu = summary.wall_vs_stock, summary.cpu_vs_stock
    floor, cpu_floor = summary.times_floor, summary.cpu_times_floor
    if pairing.is_floor:
        cpu = wall = None  # no implementation, so no speed-up to claim
    return (
        pairing.title,
        microseconds(summary.wall_us),
        microseconds(summary.cpu_us),
        f"({microseconds(summary.cpu_client_us)} + {microseconds(summary.cpu_server_us)})",
        f"x{wall.median:.2f}" if wall else "-",
        f"({wall.low:.2f}-{wall.high:.2f})" if wall else "",
        f"x{cpu.median:.2f}" if cpu else "-",
        f"{floor.median:.2f}" if floor else "-",
        f"{cpu_floor.median:.2f}" if cpu_floor else "-",
    )


def memory_figures(pairing, held):
    return (
        pairing.title,
        f"{held.bytes_client:,.0f} B",
        f"{held.bytes_server:,.0f} B",
        f"{held.left_client:.0%}",
        f"{held.left_server:.0%}",
    )


def row(cells):
    first, *others = cells
    return f"  {first:<{WIDTHS[0]}}" + "".join(f"{cell:>{width}}" for cell, width in zip(others, WIDTHS[1:], strict=False))


def microseconds(value):
    return f"{value:,.0f}" if value >= 1000 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def troubles(run):
    """What did not get measured, loudly."""
    for placement, missing in run.missing.items():
        for key, reason in missing.items():
            yield f"MISSING    {key} ({placement}): {in_short(reason)}"
    for placement, operations in run.lanes.items():
        for key, lanes in operations.items():
            for lane in lanes:
                if lane.failure:
                    yield f"FAILED     {lane.pairing.key}, {key} ({placement}): {in_short(lane.failure)}"


def as_json(run):
    """Everything, all rounds included."""
    return {
        "machine": run.machine,
        "workers": run.identities,
        "settings": run.settings,
        "missing": run.missing,
        "placements": {
            placement: {
                key: {
                    "title": OPERATIONS[key].title,
                    "unit": OPERATIONS[key].unit,
                    "pairings": {lane.pairing.key: lane_as_json(lane, run.summaries[placement][key]) for lane in lanes},
                }
                for key, lanes in operations.items()
            }
            for placement, operations in run.lanes.items()
        },
        "goals": {
            table: [{**dataclasses.asdict(verdict), "verdict": verdict.word} for verdict in verdicts]
            for table, verdicts in goals.judge(run.summaries).items()
        },
    }


def lane_as_json(lane, summaries):
    summary = summaries.get(lane.pairing.key)
    return {
        "summary_us": dataclasses.asdict(summary) if summary else None,
        "rounds_us": {number: dataclasses.asdict(sample) for number, sample in lane.samples.items()},
        "unsupported": lane.unsupported,
        "failure": lane.failure,
    }


def placement_title(placement):
    return f"=== {placement}: {PLACEMENTS[placement]} ==="


def in_short(reason):
    """A program's last line says most; the JSON report keeps the rest."""
    return reason.splitlines()[-1]
