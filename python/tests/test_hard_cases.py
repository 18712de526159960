"""The ten hard cases: what RPyC 6.0.2 fails at or hangs on, in all pairings in which this side alone can put it right.

Where a test names a client and a server, both are processes of their own. The scenarios are in ``hard_cases.py``.
"""

import os
import signal
import subprocess

import pytest

from pairings import PROGRAM, run_scenario
from peer_process import HERE, STOCK6, PeerProcess, interpreter

NETREF_CLIENT = [("netref", "netref"), pytest.param("netref", "rpyc", marks=STOCK6)]
NETREF_SERVER = [("netref", "netref"), pytest.param("rpyc", "netref", marks=STOCK6)]
ALL = [*NETREF_CLIENT, NETREF_SERVER[1]]


def pairings(which):
    return pytest.mark.parametrize(("client", "server"), which)


@pytest.fixture
def start(cleanup, tmp_path):
    """Starts a server: ``start(implementation)``. Its attribute ``path`` is that of its unix socket."""

    def start(implementation):
        path = tmp_path / "socket"
        server = PeerProcess(interpreter(implementation), implementation, "hard", unix=path)
        cleanup.callback(server.stop)
        server.path = path
        return server

    return start


def run(client, scenario, *arguments):
    run_scenario(client, "hard_cases", scenario, *arguments)


@pairings(NETREF_CLIENT)
def test_1_lock_held_while_waiting(start, client, server):
    """A stock server does not say which call a callback belongs to, so the client keeps them all off the waiting thread."""
    run(client, "lock_held_while_waiting", start(server).port, "chain" if server == "netref" else "pool")


@pairings(NETREF_CLIENT)
def test_2_two_threads_of_the_server(start, client, server):
    run(client, "two_threads_of_the_server", start(server).port)


@pairings(ALL)
def test_3a_both_write_a_lot(start, client, server):
    peer = start(server)
    # RPyC compresses all of it, on both ways: with as much of it nobody would tell slow from stuck.
    count = 60 if client == server == "netref" else 20
    run(client, "both_write_a_lot", peer.port, peer.path, count)


@pairings(ALL)
def test_3b_many_references_given_back(start, client, server):
    """Stock is slow with so many, so there are fewer where it takes part."""
    run(client, "many_references_given_back", start(server).path, 100_000 if client == server else 10_000)


@pairings(ALL)
def test_3_through_pipes(client, server):
    command = interpreter(server), HERE / "peer_server.py", "--impl", server, "--service", "hard", "--pipes"
    blocks, references = (60, 100_000) if client == server == "netref" else (20, 10_000)
    run(client, "both_write_through_pipes", blocks, references, *command)


@pairings(NETREF_SERVER)
def test_4a_time_out_leaves_the_connection_usable(start, client, server):
    run(client, "time_out_leaves_the_connection_usable", start(server).port)


@pairings(NETREF_CLIENT)
def test_4b_time_out_while_a_callback_runs(start, client, server):
    run(client, "time_out_while_a_callback_runs", start(server).port)


@pairings(NETREF_SERVER)
def test_4c_slow_call_delays_nothing(start, client, server):
    run(client, "slow_call_delays_nothing", start(server).port)


@pytest.mark.parametrize("by", ["by_value", "by_reference"])
@pairings(NETREF_CLIENT)
def test_5_callback_storm(start, client, server, by):
    run(client, "callback_storm", start(server).port, server, 10_000, by)


@pairings(NETREF_SERVER)
def test_6_unencodable_results(start, client, server):
    run(client, "unencodable_results", start(server).port)


@pairings(NETREF_CLIENT)
def test_7a_loss_reaches_every_waiter(start, client, server):
    run(client, "loss_reaches_every_waiter", start(server).port)


@pairings(NETREF_CLIENT)
def test_7b_undecodable_error_reaches_its_waiter(start, client, server):
    run(client, "undecodable_error_reaches_its_waiter", start(server).port)


@pairings(NETREF_CLIENT)
def test_7c_frozen_peer(start, client, server):
    """Neither ``close()`` nor the end of the program waits for it."""
    peer = start(server)
    try:
        run(client, "frozen_peer", peer.port)
    finally:
        os.kill(peer.process.pid, signal.SIGCONT)


@pairings(NETREF_SERVER)
def test_8_destructor_that_calls_the_client(start, client, server):
    run(client, "destructor_that_calls_the_client", start(server).port, 1000)


@pairings(NETREF_CLIENT)
def test_8_garbage_that_calls_the_server(start, client, server):
    run(client, "garbage_that_calls_the_server", start(server).port, 20_000)


@pairings(NETREF_CLIENT)
def test_9_release_behind_a_call(start, client, server):
    run(client, "release_behind_a_call", start(server).port)


@pairings(ALL)
def test_9_dying_proxy_is_received_again(start, client, server):
    run(client, "dying_proxy_is_received_again", start(server).port, 300)


@pairings(NETREF_SERVER)
def test_9_number_used_again(start, client, server):
    run(client, "number_used_again", start(server).port)


@pairings(ALL)
def test_references_after_any_mix(start, client, server):
    """Threads of a stock client count what they receive with nothing to keep them apart, and then give back too little."""
    threads = 4 if client == "netref" else 1
    run(client, "references_after_any_mix", start(server).port, threads, 300, 10)


@pairings(NETREF_SERVER)
def test_10a_unpickling_without_consent(start, client, server):
    run(client, "unpickling_without_consent", start(server).port)


@pairings(NETREF_CLIENT)
def test_10b_forked_child(start, client, server):
    run(client, "forked_child", start(server).port)


@STOCK6
def test_stock_fails_where_it_is_said_to(start):
    """A control: the scenarios can fail. Two whose outcome does not depend on timing stand for all."""
    port = start("rpyc").port
    for scenario in ("unencodable_results", "unpickling_without_consent"):
        command = [interpreter("rpyc"), PROGRAM, "rpyc", "hard_cases", scenario, str(port)]
        assert subprocess.run(command, capture_output=True, timeout=40, check=False).returncode != 0
