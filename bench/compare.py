"""Measures netref beside other systems, each in its documented fast set-up, interleaved in one run and pinned to one CPU.

    python bench/compare.py --json compare.json

The table has multiples of the bare socket program of the same language. bench/README.md tells how to read them.
"""

import argparse
import dataclasses
import json
from pathlib import Path

import run
from harness import goals, machine, report
from harness.crew import Crew, placed
from harness.implementations import IMPLEMENTATIONS, OTHER_SYSTEMS, pairing
from harness.operations import OPERATIONS
from harness.ratios import summarise
from harness.rounds import Plan, measure

COMPARED = ("echo", "callback", "bytes-random", "async", "batch", "connect", "lines")
NETREF = ("stock", "netref", "rust", "rust-tokio")


def main():
    options = parse_options()
    plan = Plan(options.rounds, options.seconds, options.quick)
    pairings = [pairing(key) for key in (*NETREF, *options.systems, "raw-python", "raw-rust")]
    with placed("pinned"), Crew(pairings, options.timeout) as crew:
        run.print_block(report.header(machine.describe(), crew.identities(), vars(plan) | {"pairings": []}))
        lanes = {key: measure(OPERATIONS[key], crew, plan) for key in COMPARED}
        missing, identities = crew.missing, crew.identities()
    summaries = {key: summarise(of_operation) for key, of_operation in lanes.items()}
    run.print_block(table(pairings, summaries, missing))
    run.print_block(failures(lanes, missing))
    if options.json:
        options.json.write_text(json.dumps(as_json(identities, summaries, missing), indent=1) + "\n")


def table(pairings, summaries, missing):
    """Rows are systems, columns operations, in Markdown. The floors' own times are in microseconds."""
    titles = [OPERATIONS[key].title for key in COMPARED]
    yield f"| {goals.TIMES} floor, by wall clock (by CPU time) | {' | '.join(titles)} |"
    yield "|---|" + "--:|" * len(titles)
    for pair in pairings:
        if pair.key not in missing:
            cells = (cell(pair, summaries[key].get(pair.key)) for key in COMPARED)
            yield f"| {IMPLEMENTATIONS[pair.client.key].title} | {' | '.join(cells)} |"


def cell(pair, summary):
    if summary is None:
        return "-"
    if pair.is_floor:
        return f"{report.microseconds(summary.wall_us)} us"
    if summary.times_floor is None:
        return "?"
    return f"{goals.number(summary.times_floor.median)} ({goals.number(summary.cpu_times_floor.median)})"


def failures(lanes, missing):
    for key, reason in missing.items():
        yield f"left out: {key}: {report.in_short(reason)}"
    for key, of_operation in lanes.items():
        for lane in of_operation:
            if lane.failure:
                yield f"FAILED: {lane.pairing.key}, {key}: {report.in_short(lane.failure)}"


def as_json(identities, summaries, missing):
    return {
        "workers": identities,
        "missing": missing,
        "operations": {
            key: {pair: dataclasses.asdict(summary) for pair, summary in of_operation.items()}
            for key, of_operation in summaries.items()
        },
    }


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="small sizes: a look")
    parser.add_argument("--systems", type=lambda text: text.split(","), default=OTHER_SYSTEMS, metavar="A,B")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=0.1, help="of one system in one round")
    parser.add_argument("--timeout", type=float, default=60, help="seconds a worker may be silent")
    parser.add_argument("--json", type=Path, metavar="FILE")
    return parser.parse_args()


if __name__ == "__main__":
    main()
