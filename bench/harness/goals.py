"""What netref promises, as ratios that one run can check."""

from dataclasses import dataclass

from .operations import OPERATIONS


@dataclass(frozen=True)
class Goal:
    title: str
    operation: str
    pairing: str
    figure: str  # a Ratio of ratios.Summary
    at_least: float | None = None
    at_most: float | None = None

    @property
    def bound(self):
        return f">= {self.at_least:g}x" if self.at_most is None else f"<= {self.at_most:g}x"

    def met_by(self, measured):
        return measured >= self.at_least if self.at_most is None else measured <= self.at_most


@dataclass(frozen=True)
class Verdict:
    goal: Goal
    placement: str
    measured: float | None

    @property
    def word(self):
        if self.measured is None:
            return "UNMEASURED"
        return "PASS" if self.goal.met_by(self.measured) else "FAIL"


GOALS = (
    Goal("netref Python at both ends, faster than stock", "echo", "netref", "wall_vs_stock", at_least=6),
    Goal("netref Rust at both ends, over bare Rust TCP", "callattr", "rust", "times_floor", at_most=1.5),
)


def judge(summaries):
    """`summaries` maps placement to operation key to pairing key to Summary. One verdict per goal and placement."""
    return [Verdict(goal, placement, measured(goal, operations)) for goal in GOALS for placement, operations in summaries.items()]


def measured(goal, operations):
    summary = operations.get(goal.operation, {}).get(goal.pairing)
    ratio = getattr(summary, goal.figure, None)
    return ratio and ratio.median


def lines(verdicts):
    for verdict in verdicts:
        goal, operation = verdict.goal, OPERATIONS[verdict.goal.operation]
        figure = "-" if verdict.measured is None else f"{verdict.measured:.2f}x"
        yield (
            f"{verdict.word:<10}  {figure:>8}  (goal {goal.bound})  {goal.title}: "
            f"({operation.letter}) {operation.title}, {verdict.placement}"
        )
