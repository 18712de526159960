"""Runs scenarios, or the parts of them that are asked for, on one implementation: ``python -m scenarios.host IMPLEMENTATION``.

Prints a port. Whoever connects to it sends a line of JSON, which names a function and its arguments, and gets one: what the
function returned, or the traceback of what it raised.
"""

import contextlib
import faulthandler
import importlib
import json
import logging
import socket
import sys
import threading
import traceback
import warnings

from scenarios.differences import expected

#: Seconds that a part may take.
LIMIT = 50


class Side:
    """One of the two processes of a scenario, as the scenario sees it.

    :ivar rpyc: the implementation
    :ivar name: its name: netref or rpyc
    """

    def __init__(self, rpyc, far=None):
        self.rpyc = rpyc
        self.name = rpyc.__name__
        self._far = far
        self.cleanup = contextlib.ExitStack()

    def far(self, function, *args):
        """Calls a function in the other process, as ``function(side, *args)``. What it takes and returns must fit into JSON."""
        return ask(self._far["port"], function.__module__, function.__name__, args)

    def serve(self, service, server_class=None, **options):
        """Starts a server that lasts as long as the scenario, and returns its port."""
        if "socket_path" not in options:
            options.setdefault("hostname", "127.0.0.1")
        server = (server_class or self.rpyc.ThreadedServer)(service, **options)
        self.cleanup.callback(server.close)
        server.listener.listen()
        threading.Thread(target=server.start, daemon=True).start()
        return server.port

    def connect(self, port, **options):
        """A connection that lasts as long as the scenario."""
        conn = self.rpyc.connect("127.0.0.1", port, **options)
        self.cleanup.callback(conn.close)
        return conn

    def expected(self, what, otherwise):
        """``otherwise``, unless this pairing is known to differ in ``what``."""
        return expected(what, self.name, self._far["name"], otherwise)


def raises(kind, function, *args, **kwargs):
    """The exception of this kind that calling the function raises."""
    try:
        function(*args, **kwargs)
    except kind as error:
        return error
    raise AssertionError(f"no {kind.__name__}")


def ask(port, module, function, arguments=(), far=None):
    """Has a function called by the host at a port."""
    with socket.create_connection(("127.0.0.1", port), timeout=LIMIT) as sock, sock.makefile("rw") as file:
        json.dump({"module": module, "function": function, "arguments": arguments, "far": far}, file)
        file.write("\n")
        file.flush()
        line = file.readline()
    if not line:
        raise ConnectionError("the process that runs the scenario ended")
    answer = json.loads(line)
    if "error" in answer:
        raise AssertionError(answer["error"])
    return answer["result"]


def end(side):
    """Ends what a scenario has left."""
    side.cleanup.close()


def main():
    """Serves one line after the other in the main thread: some servers can be made in no other."""
    faulthandler.enable()
    faulthandler.dump_traceback_later(600, exit=True)  # not even if the tests vanish without ending us
    logging.disable(logging.CRITICAL)  # scenarios provoke errors on purpose
    warnings.simplefilter("ignore")
    rpyc = importlib.import_module(sys.argv[1])
    importlib.import_module(f"{sys.argv[1]}.utils.server")
    side = Side(rpyc)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        print(listener.getsockname()[1], flush=True)
        threading.Thread(target=end_with_input, daemon=True).start()
        while True:
            with listener.accept()[0] as sock, sock.makefile("rw") as file:
                request = json.loads(file.readline())
                file.write(answer(rpyc, side, request) + "\n")


def answer(rpyc, side, request):
    if request["far"] is not None:
        side = Side(rpyc, request["far"])
    function = getattr(importlib.import_module(request["module"]), request["function"])
    try:
        try:
            return json.dumps({"result": function(side, *request["arguments"])})
        finally:
            if request["far"] is not None:
                side.cleanup.close()
                side.far(end)
    except BaseException:  # of whatever kind: the host outlives it
        return json.dumps({"error": f"in the process with {rpyc.__name__}:\n{traceback.format_exc()}"})


def end_with_input():
    import os

    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    sys.modules["scenarios.host"] = sys.modules["__main__"]
    main()
