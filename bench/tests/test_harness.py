"""Tests of the harness itself: `python -m unittest discover bench/tests`."""

import sys
import unittest
from pathlib import Path
from xml.etree import ElementTree

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import compare
from harness import goals, pictures
from harness.implementations import IMPLEMENTATIONS, pairing
from harness.memory import MemoryLane
from harness.operations import OPERATIONS
from harness.ratios import Ratio, Summary, ratio, summarise
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
        if len(sys.argv) > 1:
            held = b"held" * 250 * int(sys.argv[1])
    if command["do"] == "drop":
        held = None
    print(json.dumps({"prepare": {"ok": True}, "go": {"wall": 0.001 * command.get("repeat", 0), "slowest": 0.5},
        "finish": {"ok": True}, "drop": {"ok": True},
        "refuse": {"error": "no"}, "lack": {"unsupported": "not here"}}[command["do"]]), flush=True)
"""


def worker(script, timeout=10, arguments=()):
    return Worker([sys.executable, "-c", script, *arguments], timeout)


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


class LanesTest(unittest.TestCase):
    """Figures of several pairings in the same rounds."""

    def summaries(self, **walls):
        lanes = []
        for name, wall in walls.items():
            lanes.append(Lane(pairing(name.replace("__", ":").replace("_", "-")), None, None))
            lanes[-1].samples = samples(*wall)
        return summarise(lanes)

    def test_the_floor_is_of_the_client_s_language(self):
        figures = self.summaries(netref=[10], rust=[10], netref__rust=[10], raw_rust=[2], raw_python=[5])
        self.assertEqual([figures[key].times_floor.median for key in ("netref", "rust", "netref:rust")], [2, 5, 2])

    def test_a_mixed_pairing_is_compared_with_the_slower_pure_one_of_each_round(self):
        figures = self.summaries(netref=[10, 20], rust=[30, 10], rust__netref=[15, 10])
        self.assertEqual(figures["rust:netref"].times_slower_pure.median, 0.5)
        self.assertIsNone(self.summaries(netref=[1], rust__netref=[1])["rust:netref"].times_slower_pure)

    def test_the_slowest_operation_is_the_median_of_the_rounds_worst(self):
        lane = Lane(pairing("netref"), None, None)
        lane.samples = {number: Sample(1, 1, 1, slowest) for number, slowest in enumerate((2000, 40_000, 3000))}
        self.assertEqual(summarise([lane])["netref"].slowest_ms, 3)


def summary(**figures):
    return Summary(1, 1, 1, 2, **{"wall_vs_stock": None, "cpu_vs_stock": None, "times_floor": None, **figures})


class GoalTest(unittest.TestCase):
    def verdict(self, **figures):
        ratios = {name: Ratio(value, 0, 0) for name, value in figures.items()}
        row = goals.Row("echo", "netref", (goals.floor(1.1), goals.stock(15)))
        return goals.verdict(row, {"echo": {"netref": summary(**ratios)}})

    def test_passes_at_the_bounds(self):
        self.assertEqual(self.verdict(times_floor=1.1, wall_vs_stock=15).word, "PASS")

    def test_fails_beyond_one_of_them(self):
        self.assertEqual(self.verdict(times_floor=1.11, wall_vs_stock=99).word, "FAIL")
        self.assertEqual(self.verdict(times_floor=0.9, wall_vs_stock=14.9).word, "FAIL")

    def test_says_when_nothing_was_measured(self):
        self.assertEqual(self.verdict(times_floor=1).word, "UNMEASURED")

    def test_rows_whose_operation_was_not_asked_for_are_left_out(self):
        verdicts = goals.judge({"pinned": {"echo": {}}})
        self.assertEqual({verdict.row.operation for table in verdicts.values() for verdict in table}, {"echo"})

    def test_every_row_names_things_that_there_are(self):
        for table in goals.TABLES:
            for row in table.rows:
                self.assertIn(row.operation, OPERATIONS)
                self.assertIn(pairing(row.pairing).client.key, IMPLEMENTATIONS)
                self.assertTrue(all(bound.figure in goals.FIGURES for bound in row.bounds))

    def test_a_line_shows_what_is_required_beside_what_was_measured(self):
        line = goals.line(self.verdict(times_floor=1.234, wall_vs_stock=17.26))
        self.assertRegex(line, "1.23 . floor, 17.3 . stock .* 1.1 . floor, . 15 . stock . FAIL")


class CompareTest(unittest.TestCase):
    def test_a_system_stands_beside_the_floor_of_its_language(self):
        pairs = [pairing(key) for key in ("pyro5", "managers", "raw-python")]
        ratios = {"times_floor": Ratio(4.6, 0, 0), "cpu_times_floor": Ratio(4.4, 0, 0)}
        figures = {key: {} for key in compare.COMPARED} | {"echo": {"pyro5": summary(**ratios), "raw-python": summary()}}
        _, _, pyro5, floor = compare.table(pairs, figures, {"managers": "not there"})
        self.assertRegex(pyro5, r"^. Pyro5 . 4.60 \(4.40\) . - .")
        self.assertRegex(floor, r"^. floor: Python sockets . 1.00 us . - .")


class PictureTest(unittest.TestCase):
    def test_is_well_formed_and_shows_each_row_that_has_a_floor(self):
        rows = [goals.Row("echo", "netref", (goals.floor(1.1),)), goals.Row("lines", "netref", (goals.stock(2),))]
        verdicts = [goals.verdict(row, {"echo": {"netref": summary(times_floor=Ratio(1.2, 1, 2))}}) for row in rows]
        image = ElementTree.fromstring(pictures.picture("Title & more", verdicts))
        words = [element.text for element in image.iter() if element.text]
        self.assertIn("Title & more", words)
        self.assertIn(OPERATIONS["echo"].title, words)
        self.assertNotIn(OPERATIONS["lines"].title, words)

    def test_there_is_none_without_figures(self):
        self.assertIsNone(pictures.picture("Title", []))


class MemoryTest(unittest.TestCase):
    def test_tells_what_is_held_and_what_is_left(self):
        client, server = worker(SCRIPTED_WORKER, arguments=["100000"]), worker(SCRIPTED_WORKER)
        lane = MemoryLane(pairing("netref"), client, server)
        lane.measure({"op": "references", "n": 1000})
        client.stop(), server.stop()
        self.assertIsNone(lane.failure)
        self.assertAlmostEqual(lane.held.bytes_client, 100_000, delta=5000)
        self.assertLess(lane.held.left_client, 0.1)
        self.assertLess(lane.held.bytes_server, 1000)


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
        self.assertEqual(lane.samples[0].slowest, 500_000)

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
