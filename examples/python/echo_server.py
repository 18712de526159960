"""A service that returns what it is given, and counts how often each client asks.

    python echo_server.py [PORT]

Port 18861 unless given; with 0, a free one, which the log says.
"""

import argparse

import netref as rpyc


class EchoService(rpyc.Service):
    """The server makes one for each client."""

    def on_connect(self, conn):
        self.calls = 0

    def exposed_echo(self, value):
        self.calls += 1
        return value

    def exposed_count(self):
        """How often this client has called."""
        return self.calls


def main():
    parser = argparse.ArgumentParser(description="Returns to clients what they send.")
    parser.add_argument("port", type=int, nargs="?", default=18861)
    options = parser.parse_args()
    rpyc.setup_logger()
    rpyc.ThreadedServer(EchoService, hostname="localhost", port=options.port).start()


if __name__ == "__main__":
    main()
