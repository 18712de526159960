"""A client on another host: ``network_client.py HOST PORT CONFIG``.

For each line of its input it does something, and prints what came of it: ``ping``, ``wait SECONDS``, ``send BYTES``; ``lost``,
which waits for the end of the connection without doing anything; or ``stall``, which makes another connection, has the server
answer with more than fits into the network, and reads the beginning only.
"""

import json
import os
import sys
import time

import netref
from hostile import Hostile, boxed_tuple, by_value, of_server, request
from netref.core import consts

#: More than all buffers on the way take. It is random, for else it would be compressed.
SIZE = 20_000_000


def main():
    host, port, config = sys.argv[1:]
    conn = netref.connect(host, int(port), config=json.loads(config))
    root = conn.root
    stalled = None
    print("connected", flush=True)
    for line in sys.stdin:
        command, *arguments = line.split()
        if command == "stall":
            stalled = stall(host, int(port))
            outcome = "stalled"
        else:
            try:
                outcome = do(conn, root, command, *map(int, arguments))
            except EOFError as error:
                outcome = f"EOFError: {error}"
            except Exception as error:
                outcome = f"{type(error).__name__}: {error}"
        print(outcome, flush=True)
    if stalled:
        stalled.close()


def do(conn, root, command, *arguments):
    if command == "ping":
        conn.ping(timeout=None)
        return "pong"
    if command == "send":
        return len(root.echo(os.urandom(arguments[0])))
    if command == "wait":
        return root.wait(*arguments)
    while not conn.closed:
        time.sleep(0.05)
    return "it is lost"


def stall(host, port):
    peer = Hostile(port, host=host)
    root = peer.root()
    data = boxed_tuple(by_value(os.urandom(SIZE)))
    peer.send(request(1, consts.HANDLE_CALLATTR, of_server(root), by_value("echo"), data, by_value(())))
    peer.sock.recv(65536)
    return peer


if __name__ == "__main__":
    main()
