"""Measures netref beside stock RPyC and beside bare sockets, interleaved in one run.

    python bench/run.py --quick
    python bench/run.py --ops echo,callattr --place pinned --goals

How to read the figures: bench/README.md. What a worker must do: bench/WORKERS.md.
"""

import argparse
import json
import sys
from dataclasses import dataclass, field
from pathlib import Path

from harness import goals, machine, memory, pictures, report
from harness.crew import CONTENDED_OPERATIONS, PLACEMENTS, Crew, placed
from harness.implementations import DEFAULT_PAIRINGS, pairing
from harness.operations import OPERATIONS
from harness.ratios import summarise
from harness.rounds import Plan, measure

PICTURED = ("python", "rust")


@dataclass
class Run:
    """Everything one invocation learns. The mappings below begin with the placement."""

    machine: dict
    settings: dict
    identities: dict = field(default_factory=dict)  # implementation key -> what its worker said of itself
    missing: dict = field(default_factory=dict)  # -> pairing key -> reason
    lanes: dict = field(default_factory=dict)  # -> operation key -> lanes
    summaries: dict = field(default_factory=dict)  # -> operation key -> pairing key -> Summary


def main():
    options = parse_options()
    plan = Plan(options.rounds, options.seconds, options.quick)
    run = Run(machine.describe(), vars(plan) | {"pairings": [pair.key for pair in options.pairings]})
    for placement in options.place:
        with placed(placement), Crew(options.pairings, options.timeout) as crew:
            measure_placement(placement, crew, options, plan, run)
        if options.require and run.missing[placement]:
            break
    verdicts = goals.judge(run.summaries)
    if any(run.lanes.values()):
        print_block(report.troubles(run))
    print_block(goals.lines(verdicts))
    if options.json:
        options.json.write_text(json.dumps(report.as_json(run), indent=1) + "\n")
    if options.pictures:
        draw(options.pictures, verdicts)
    sys.exit(exit_status(options, run, verdicts))


def draw(folder, verdicts):
    for table in goals.TABLES:
        if table.key in PICTURED and (drawn := pictures.picture(table.title, verdicts[table.key])):
            (folder / f"speed-{table.key}.svg").write_text(drawn)


def measure_placement(placement, crew, options, plan, run):
    first = not run.identities
    run.identities |= crew.identities()
    run.missing[placement] = crew.missing
    run.lanes[placement], run.summaries[placement] = {}, {}
    if first:
        print_block(report.header(run.machine, run.identities, run.settings))
        print_block(report.troubles(run))
    if options.require and crew.missing:
        return
    print(report.placement_title(placement) + "\n", flush=True)
    for operation in options.ops:
        if placement == "contended" and operation.key not in CONTENDED_OPERATIONS:
            continue
        if operation.takes_memory:
            if placement != "pinned":
                continue
            lanes, summaries = memory.measure(operation, crew, plan)
        else:
            lanes = measure(operation, crew, plan)
            summaries = summarise(lanes)
        run.lanes[placement][operation.key], run.summaries[placement][operation.key] = lanes, summaries
        print_block(report.table(operation, lanes, summaries, plan.quick))


def exit_status(options, run, verdicts):
    failed = any(lane.failure for operations in run.lanes.values() for lanes in operations.values() for lane in lanes)
    judged = [verdict for table in verdicts.values() for verdict in table]
    missed = options.goals and any(verdict.word != "PASS" for verdict in judged)
    required = options.require and any(run.missing.values())
    return 1 if failed or missed or required else 0


def print_block(lines):
    text = "\n".join(lines)
    if text:
        print(text + "\n", flush=True)


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="small sizes, 5 short rounds, pinned only: a look")
    parser.add_argument(
        "--ops",
        type=listed(OPERATIONS.__getitem__),
        default=list(OPERATIONS.values()),
        metavar="A,B",
        help=f"of: {', '.join(OPERATIONS)} (default: all)",
    )
    parser.add_argument(
        "--pairings",
        type=listed(pairing),
        default=[pairing(text) for text in DEFAULT_PAIRINGS],
        metavar="A,B",
        help="client:server, or one name for both ends; ratios need stock and the floors "
        f"among them (default: {','.join(DEFAULT_PAIRINGS)})",
    )
    parser.add_argument("--place", choices=(*PLACEMENTS, "all"), help="default: all; with --quick: pinned")
    parser.add_argument("--rounds", type=int, help="default: 9; with --quick: 5")
    parser.add_argument("--seconds", type=float, help="of one pairing in one round (default: 0.25; with --quick: 0.05)")
    parser.add_argument("--timeout", type=float, default=60, help="seconds a worker may be silent (default: 60)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything there, all rounds included")
    parser.add_argument("--goals", action="store_true", help="a missed promise is an error")
    parser.add_argument("--pictures", type=Path, metavar="FOLDER", help="draw the tables there")
    parser.add_argument("--require", action="store_true", help="a missing pairing is an error")
    options = parser.parse_args()
    options.place = options.place or ("pinned" if options.quick else "all")
    options.place = list(PLACEMENTS) if options.place == "all" else [options.place]
    options.rounds = options.rounds or (5 if options.quick else 9)
    options.seconds = options.seconds or (0.05 if options.quick else 0.25)
    return options


def listed(read_one):
    def read(text):
        try:
            return [read_one(part) for part in text.split(",")]
        except (KeyError, ValueError) as error:
            raise argparse.ArgumentTypeError(f"unknown: {error}") from None

    return read


if __name__ == "__main__":
    main()
