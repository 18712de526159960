"""Whole programs: Ctrl-C, and the end of the interpreter."""

import signal
import subprocess
import sys
import textwrap

import pytest

import netref
from peer_process import STOCK6, Program


def program(text):
    return [sys.executable, "-X", "faulthandler", "-c", textwrap.dedent(text)]


WAITS = {
    "call": "conn.modules.time.sleep(60)",
    "async result": "netref.async_(conn.modules.time.sleep)(60).wait()",
    "serve": "while True: conn.serve(60)",
    "serve_all": "conn._serve_all()",
}

INTERRUPTED = """
    import sys, threading, time, netref
    from netref import classic

    conn = classic.connect("127.0.0.1", int(sys.argv[1]))
    upper = conn.builtins.str.upper

    def wait():
        {wait}

    def tell_when_waiting():
        while True:
            frame = sys._current_frames()[threading.main_thread().ident]
            while frame is not None and frame.f_code is not wait.__code__:
                frame = frame.f_back
            if frame is not None:
                return print("waiting", flush=True)
            time.sleep(0.001)

    threading.Thread(target=tell_when_waiting).start()
    try:
        wait()
    except KeyboardInterrupt:
        print("interrupted", flush=True)
    if "usable" in sys.argv:
        print(upper("usable"), flush=True)
"""


@pytest.mark.parametrize("place", ["netref", pytest.param("rpyc", marks=STOCK6)])
@pytest.mark.parametrize("wait", WAITS)
def test_ctrl_c_ends_the_wait_and_not_the_connection(peer_processes, place, wait):
    """A stock server is busy with the call meanwhile, so there is only the end of the wait to see."""
    usable = place == "netref" or "sleep" not in WAITS[wait]
    arguments = [peer_processes(place, "classic").port] + ["usable"] * usable
    running = Program(*program(INTERRUPTED.format(wait=WAITS[wait])), *arguments)
    try:
        assert running.read_line() == "waiting"
        running.process.send_signal(signal.SIGINT)
        assert running.read_line() == "interrupted"
        if usable:
            assert running.read_line() == "USABLE"
        assert running.process.wait(20) == 0
    finally:
        running.kill()
        running.stop()


LIVE_AT_EXIT = """
    import sys, threading, netref

    conns = [netref.connect("127.0.0.1", int(sys.argv[1])) for _ in range(3)]
    roots = [conn.root for conn in conns]
    kept = [root.make("list") for root in roots]
    roots[0].keep(print)
    pending = netref.async_(roots[1].echo)(1)
    pending.add_callback(lambda result: None)
    worker = threading.Thread(target=conns[2].serve_all, daemon=True)
    worker.start()
    served = netref.BgServingThread(conns[1])
    assert list(kept[0]) == [1, 2, 3]
"""


@pytest.mark.parametrize("place", ["netref", pytest.param("rpyc", marks=STOCK6)])
def test_exit_with_live_connections_is_silent(peer_processes, place):
    port = str(peer_processes(place).port)
    for _ in range(10):
        done = subprocess.run([*program(LIVE_AT_EXIT), port], capture_output=True, text=True, timeout=30)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_exit_of_a_server_with_live_connections_is_silent():
    text = """
        import netref, threading
        from netref.utils.server import ThreadedServer

        class Hello(netref.Service):
            def exposed_hello(self, function):
                self._function = function
                return function()

        server = ThreadedServer(Hello, hostname="127.0.0.1")
        server._start_in_thread()
        conns = [netref.connect("127.0.0.1", server.port) for _ in range(3)]
        assert [conn.root.hello(lambda: 5) for conn in conns] == [5, 5, 5]
        """
    for _ in range(10):
        done = subprocess.run(program(text), capture_output=True, text=True, timeout=30)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_exit_while_connections_end_in_the_background():
    """A service hears of the end on a thread of the driver, which the end of the interpreter must not abort."""
    text = """
        import netref
        from netref.core.stream import PipeStream

        class Heard(netref.Service):
            def on_disconnect(self, conn):
                with open("/dev/null") as file:
                    file.read()

        for _ in range(20):
            left, right = PipeStream.create_pair()
            server, client = netref.connect_stream(left, Heard), netref.connect_stream(right, Heard)
            client.ping()
            client.close()
        """
    for _ in range(20):
        done = subprocess.run(program(text), capture_output=True, text=True, timeout=30)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_exit_status_is_the_programs(peer_processes):
    text = """
        import sys, netref
        conn = netref.connect("127.0.0.1", int(sys.argv[1]))
        conn.root.keep(print)
        sys.exit(7)
        """
    done = subprocess.run([*program(text), str(peer_processes("netref").port)], capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stderr) == (7, "")


def test_server_ends_on_ctrl_c():
    text = """
        import netref
        from netref.utils.server import ThreadedServer
        server = ThreadedServer(netref.VoidService, hostname="127.0.0.1")
        server._listen()
        print(server.port, flush=True)
        server.start()
        print("ended", flush=True)
        """
    running = Program(*program(text), stderr=subprocess.DEVNULL)
    try:
        port = int(running.read_line())
        with netref.connect("127.0.0.1", port) as conn:
            conn.ping()
            running.process.send_signal(signal.SIGINT)
            assert running.read_line() == "ended"
            assert running.process.wait(20) == 0
    finally:
        running.kill()
        running.stop()


def test_importing_is_quick_and_silent():
    done = subprocess.run(program("import netref"), capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
