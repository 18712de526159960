"""Whole programs: Ctrl-C, and the end of the interpreter."""

import concurrent.futures
import os
import signal
import subprocess
import sys
import textwrap

import pytest

import netref
from peer_process import STOCK6, PeerProcess, Program, interpreter


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


CLOSES = {
    "that does not answer": "os.kill(conn.modules.os.getpid(), signal.SIGSTOP)",
    "whose request runs": """
    conn.execute("import threading")
    conn.eval("lambda function: threading.Thread(target=function).start()")(lambda: begun.set() or time.sleep(60))
    begun.wait()
    """,
}

CLOSED = """
    import os, signal, sys, threading, time, netref

    ended, begun = [], threading.Event()

    class Client(netref.ClassicService):
        def on_disconnect(self, conn):
            ended.append(conn)

    conn = netref.connect("127.0.0.1", int(sys.argv[1]), service=Client, config={{"close_timeout": 60}})
    {before}

    def tell_when_closing():
        while not conn.closed:  # it may be before this looks
            frame = sys._current_frames()[threading.main_thread().ident]
            if frame.f_code is netref.Connection.close.__code__:
                return print("closing", flush=True)
            time.sleep(0.001)

    while not conn.closed:
        threading.Thread(target=tell_when_closing).start()
        try:
            conn.close()
        except KeyboardInterrupt:
            print("interrupted", flush=True)
    print("closed", len(ended), flush=True)
"""


@pytest.mark.parametrize("peer", CLOSES)
def test_ctrl_c_ends_closing_and_the_connection(cleanup, peer):
    """It may come before there is anything to wait for, and then the connection is still there to be closed."""
    process = PeerProcess(interpreter("netref"), "netref", "classic")
    cleanup.callback(process.stop)
    cleanup.callback(os.kill, process.process.pid, signal.SIGCONT)
    running = Program(*program(CLOSED.format(before=CLOSES[peer])), process.port)
    try:
        while (line := running.read_line()) == "closing":
            running.process.send_signal(signal.SIGINT)
            assert running.read_line() == "interrupted"
        assert line == "closed 1"
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


@pytest.fixture
def patience():
    """For a test that takes longer than others."""
    signal.alarm(240)


def test_exit_with_live_connections_many_times(peer_processes, patience):
    port = str(peer_processes("netref").port)

    def run(_):
        done = subprocess.run([*program(LIVE_AT_EXIT), port], capture_output=True, text=True, timeout=60)
        return done.returncode, done.stdout, done.stderr

    with concurrent.futures.ThreadPoolExecutor(4) as executor:
        assert set(executor.map(run, range(200))) == {(0, "", "")}


RUNS_AT_EXIT = """
    import sys, threading, time, netref
    from netref.utils.factory import connect_thread

    begun = threading.Event()

    def run_for_ever():
        begun.set()
        while True:
            time.sleep(0.001)

    class Object:
        exposed_slow = property(lambda self: run_for_ever())
        def __repr__(self): run_for_ever()
        def __str__(self): run_for_ever()
        def __hash__(self): run_for_ever()
        def __next__(self): run_for_ever()
        def __iter__(self): return self

    class Dying:
        def __del__(self): run_for_ever()

    class Service(netref.Service):
        def exposed_run(self): run_for_ever()
        def exposed_call(self, function): function()
        def exposed_later(self, function): netref.async_(function)()
        def exposed_done(self): return 1
        def exposed_object(self): return Object()
        def exposed_dying(self): return Dying()
        def on_disconnect(self, conn):
            if sys.argv[1] == "on_disconnect":
                run_for_ever()

    def aside(function, *args):
        threading.Thread(target=function, args=args, daemon=True).start()

    def use_of(operation):
        return lambda root: aside(operation, root.object())

    use = {
        "method": lambda root: netref.async_(root.run)(),
        "callback of a waiting thread": lambda root: aside(root.call, run_for_ever),
        "callback of nobody": lambda root: root.later(run_for_ever),
        "add_callback": lambda root: netref.async_(root.done)().add_callback(lambda result: run_for_ever()),
        "property": use_of(lambda proxy: proxy.slow),
        "repr": use_of(repr),
        "str": use_of(str),
        "hash": use_of(hash),
        "next": use_of(next),
        "buffiter": use_of(lambda proxy: list(netref.buffiter(proxy))),
        "destructor": lambda root: root.dying() and None,
        "on_disconnect": lambda root: conn.close(),
    }
    config = {"dispatch": "pool"} if "nobody" in sys.argv[1] else {}
    conn = connect_thread(config=config, remote_service=Service)
    use[sys.argv[1]](conn.root)
    assert begun.wait(20)
"""

RUNNING = [
    "method",
    "callback of a waiting thread",
    "callback of nobody",
    "add_callback",
    "property",
    "repr",
    "str",
    "hash",
    "next",
    "buffiter",
    "destructor",
    "on_disconnect",
]


@pytest.mark.parametrize("what", RUNNING)
def test_exit_while_a_programs_code_runs_for_a_peer(what):
    """Its thread must not be unwound through frames that are not Python's, which aborts the process."""
    for _ in range(3):
        done = subprocess.run([*program(RUNS_AT_EXIT), what], capture_output=True, text=True, timeout=30)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


FROZEN = """
    import os, signal, sys, netref

    conn = netref.connect("127.0.0.1", int(sys.argv[1]), config={"sync_request_timeout": None})
    root = conn.root
    kept, pid = root.objects(100), root.pid()
    pending = netref.async_(root.sleep)(100)
    os.kill(pid, signal.SIGSTOP)
"""


@pytest.mark.parametrize("place", ["netref", pytest.param("rpyc", marks=STOCK6)])
def test_exit_does_not_wait_for_a_frozen_peer(cleanup, place):
    server = PeerProcess(interpreter(place), place, "hard")
    cleanup.callback(server.stop)
    cleanup.callback(os.kill, server.process.pid, signal.SIGCONT)
    done = subprocess.run([*program(FROZEN), str(server.port)], capture_output=True, text=True, timeout=20)
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


def test_exit_with_a_connection_to_a_process_of_its_own():
    """multiprocessing waits for its child, which waits for the end of the connection. (With stock the program hangs.)"""
    text = """
        from netref import classic

        conn = classic.connect_multiprocess()
        print(conn.eval("5"))
        """
    done = subprocess.run(program(text), capture_output=True, text=True, timeout=20)
    assert (done.returncode, done.stdout, done.stderr) == (0, "5\n", "")


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


HOOKED = """
    import collections, threading, netref

    seen = collections.defaultdict(set)

    def see(frame, event, argument):
        seen[frame.f_code.co_name].add(threading.current_thread())

    class Service(netref.Service):
        def exposed_one(self):
            both.wait(20)

        def exposed_other(self):
            both.wait(20)

    threading.{hook}(see)
    both = threading.Barrier(2)
    conn = netref.connect_thread(remote_service=Service)
    for result in [netref.async_(conn.root.one)(), netref.async_(conn.root.other)()]:
        result.wait()
    print(len(seen["exposed_one"]), len(seen["exposed_other"]), len(seen["exposed_one"] | seen["exposed_other"]))
"""


@pytest.mark.parametrize("hook", ["settrace", "setprofile"])
def test_debuggers_and_coverage_see_what_runs_on_any_thread(hook):
    """Also requests that run beside another one, on a thread that Python did not start. Stock has none."""
    done = subprocess.run(program(HOOKED.format(hook=hook)), capture_output=True, text=True, timeout=40, check=False)
    assert (done.stdout, done.stderr) == ("1 1 2\n", "")


def test_importing_is_quick_and_silent():
    done = subprocess.run(program("import netref"), capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
