"""Compares this clock with the server's, then has the server call a function of ours at every tick.

    python time_client.py [--host HOST] [--port PORT] [--ticks N]

The server may be time_server.py or time_server.rs. The twin in Rust is time_client.rs.
"""

import argparse
import datetime
import time

import netref as rpyc


def main():
    parser = argparse.ArgumentParser(description="Asks a server for the time.")
    parser.add_argument("--host", default="localhost")
    parser.add_argument("--port", type=int, default=18861)
    parser.add_argument("--ticks", type=int, default=3)
    options = parser.parse_args()

    with rpyc.connect(options.host, options.port) as conn:
        conn.ping()  # whatever it takes to get going is not to be measured
        now = conn.root.now
        sent = time.time()
        server = now()
        received = time.time()
        print("The server's time is", datetime.datetime.fromtimestamp(server, datetime.UTC).isoformat(timespec="seconds"))
        # It was read somewhere between the two moments of ours.
        print(f"Its clock is {server - (sent + received) / 2:+.1f} s from ours")
        conn.root.tick(options.ticks, 0.1, lambda when: print(f"Tick, {when - server:.1f} s later"))


if __name__ == "__main__":
    main()
