"""A client that wants nothing but to be served, while others misbehave: ``honest.py PORT``.

Until its standard input ends, it connects, asks, and hangs up, over and over. Then it prints the seconds that its slowest round
took, how many there were, and by how much the machine was late, at worst, to wake it from a sleep that has nothing to do with the
server.
"""

import sys
import threading
import time

from hostile import Hostile

#: Seconds between two rounds.
_PAUSE = 0.02


def main():
    port = int(sys.argv[1])
    over = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), over.set()), daemon=True).start()
    slowest, rounds, latest = 0, 0, 0
    staying = Hostile(port)
    staying.ping()
    print("served", flush=True)
    # Some rounds at least, for some attacks are over in no time.
    while True:
        began = time.monotonic()
        is_over = over.wait(_PAUSE)
        if is_over and rounds >= 3:
            break
        began, waited = time.monotonic(), time.monotonic() - began
        latest = max(latest, waited - _PAUSE)
        staying.ping()
        staying.root()
        with Hostile(port) as new:
            new.root()
        slowest = max(slowest, time.monotonic() - began)
        rounds += 1
    print(slowest, rounds, latest, flush=True)


if __name__ == "__main__":
    main()
