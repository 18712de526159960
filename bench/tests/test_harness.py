"""Tests of the harness itself: `python -m unittest discover bench/tests`."""

import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from harness import goals
from harness.implementations import pairing
from harness.ratios import Ratio, Summary, ratio
from harness.rounds import Lane, Plan, Sample, rotated
from harness.workers import Refused, Unsupported, Worker, WorkerLost

SCRIPTED_WORKER = """
import json, os, sys, time
print(json.dumps({"ready": True, "version": "1", "runtime": "test", "pid": os.getpid(), "port": 1}), flush=True)
for line in sys.stdin:
    command = json.loads(line)
    if command["do"] == "die":
        sys.exit()
    if command["do"] == "go":
        time.sleep(0.001 * command["repeat"])
    print(json.dumps({"prepare": {"ok": True}, "go": {"wall": 0.001 * command.get("repeat", 0)}, "finish": {"ok": True},
        "refuse": {"error": "no"}, "lack": {"unsupported": "not here"}}[command["do"]]), flush=True)
"""


def worker(script, timeout=10):
    return Worker([sys.executable, "-c", script], timeout)


def samples(*walls):
    return {number: Sample(wall, wall / 2, wall / 2) for number, wall in enumerate(walls)}


class RatioTest(unittest.TestCase):
    def test_is_the_median_of_quotients_within_rounds(self):
        # The medians are 20 and 2, but no round shows x10.
        self.assertEqual(ratio(samples(10, 20, 60), samples(2, 1, 30), "wall").median, 5)

    def test_leaves_out_rounds_that_only_one_side_has(self):
        self.assertEqual(ratio(samples(10, 90), samples(5), "wall"), Ratio(2, 2, 2))

    def test_needs_both_sides(self):
        self.assertIsNone(ratio(None, samples(1), "wall"))
        self.assertIsNone(ratio({}, samples(1), "wall"))


class GoalTest(unittest.TestCase):
    def judge(self, **figures):
        summaries = {"pinned": {}}
        for goal in goals.GOALS:
            if goal.pairing in figures:
                figure = {goal.figure: Ratio(figures[goal.pairing], 0, 0)}
                absent = dict.fromkeys(("wall_vs_stock", "cpu_vs_stock", "times_floor"))
                summaries["pinned"][goal.operation] = {goal.pairing: Summary(1, 1, 1, 2, **{**absent, **figure})}
        return {verdict.goal.pairing: verdict.word for verdict in goals.judge(summaries)}

    def test_passes_at_the_bound(self):
        self.assertEqual(self.judge(netref=6.0, rust=1.5), {"netref": "PASS", "rust": "PASS"})

    def test_fails_beyond_the_bound(self):
        self.assertEqual(self.judge(netref=5.99, rust=1.51), {"netref": "FAIL", "rust": "FAIL"})

    def test_says_when_nothing_was_measured(self):
        self.assertEqual(self.judge(), {"netref": "UNMEASURED", "rust": "UNMEASURED"})


class PairingTest(unittest.TestCase):
    def test_one_name_means_both_ends(self):
        self.assertEqual(pairing("stock"), pairing("stock:stock"))
        self.assertEqual(pairing("netref:stock").key, "netref:stock")

    def test_refuses_what_cannot_talk(self):
        for text in ("nobody", "stock:nobody", "raw-rust:stock"):
            with self.assertRaises(ValueError):
                pairing(text)


class WorkerTest(unittest.TestCase):
    def test_answers_and_outlives_its_refusals(self):
        scripted = worker(SCRIPTED_WORKER)
        with self.assertRaises(Refused):
            scripted.ask(do="refuse")
        with self.assertRaises(Unsupported):
            scripted.ask(do="lack")
        self.assertEqual(scripted.ask(do="prepare"), {"ok": True})
        self.assertGreater(scripted.cpu_seconds(), 0)
        scripted.stop()
        self.assertFalse(scripted.alive)

    def test_a_death_carries_the_last_words(self):
        with self.assertRaisesRegex(WorkerLost, "last words"):
            worker("import sys; sys.exit('last words')")

    def test_a_hang_ends_the_worker(self):
        hanging = worker(SCRIPTED_WORKER, timeout=0.5)
        with self.assertRaisesRegex(WorkerLost, "no answer within"):
            hanging.ask(do="go", repeat=10_000)
        self.assertFalse(hanging.alive)

    def test_a_missing_program_is_told(self):
        with self.assertRaisesRegex(WorkerLost, "no/such/program"):
            Worker(["no/such/program"], 1)


class RoundsTest(unittest.TestCase):
    def test_a_lane_fills_its_share_of_the_round(self):
        client, server = worker(SCRIPTED_WORKER), worker(SCRIPTED_WORKER)
        lane = Lane(pairing("stock"), client, server)
        lane.attempt(lane.prepare, {"op": "echo", "n": 10}, Plan(rounds=1, seconds=0.02, quick=True))
        lane.attempt(lane.run, 0)
        client.stop(), server.stop()
        self.assertIsNone(lane.failure)
        self.assertAlmostEqual(lane.samples[0].wall, 100, places=3)

    def test_a_lost_server_ends_each_of_its_lanes(self):
        server, clients = worker(SCRIPTED_WORKER), [worker(SCRIPTED_WORKER) for _ in range(2)]
        with self.assertRaises(WorkerLost):
            server.ask(do="die")
        for client in clients:
            lane = Lane(pairing("stock"), client, server)
            lane.attempt(lane.run, 0)
            client.stop()
            self.assertIn("ended", lane.failure)
            self.assertTrue(lane.lost_a_worker)

    def test_every_lane_gets_to_be_first(self):
        self.assertEqual([rotated("abc", number)[0] for number in range(4)], ["a", "b", "c", "a"])


if __name__ == "__main__":
    unittest.main()
