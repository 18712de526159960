"""A service for the time of day. It can be waited for, and it calls a function of the client's at every tick.

    python time_server.py [PORT]

Port 18861 unless given; with 0, a free one, which the log says. Its twin in Rust is time_server.rs.
"""

import argparse
import time

import netref as rpyc


class TimeService(rpyc.Service):
    def exposed_now(self):
        """Seconds since 1970, UTC."""
        return time.time()

    def exposed_wait(self, seconds):
        """Returns `seconds`, after as many."""
        time.sleep(seconds)
        return seconds

    def exposed_tick(self, times, interval, function):
        """Calls `function` with the time, so many times."""
        for _ in range(times):
            time.sleep(interval)
            function(time.time())


def main():
    parser = argparse.ArgumentParser(description="Serves the time of day.")
    parser.add_argument("port", type=int, nargs="?", default=18861)
    options = parser.parse_args()
    rpyc.setup_logger()
    rpyc.ThreadedServer(TimeService, hostname="localhost", port=options.port).start()


if __name__ == "__main__":
    main()
