"""A client that wants nothing but to be served, while others misbehave: ``honest.py PORT``.

Until its standard input ends, it connects, asks, and hangs up, over and over. Then it prints the seconds that its slowest round
took, and how many there were.
"""

import sys
import threading
import time

from hostile import Hostile


def main():
    port = int(sys.argv[1])
    over = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), over.set()), daemon=True).start()
    slowest, rounds = 0, 0
    staying = Hostile(port)
    staying.ping()
    print("served", flush=True)
    # Some rounds at least, for some attacks are over in no time.
    while not over.wait(0.02) or rounds < 3:
        began = time.monotonic()
        staying.ping()
        staying.root()
        with Hostile(port) as new:
            new.root()
        slowest = max(slowest, time.monotonic() - began)
        rounds += 1
    print(slowest, rounds, flush=True)


if __name__ == "__main__":
    main()
