"""Says in a chat room what it reads from standard input, line by line, and prints what it hears there.

    python chat_client.py [--host HOST] [--port PORT] NAME

It leaves at the end of the input. While it waits for a line, nobody here serves the connection: that happens by itself.
The twin in Rust is chat_client.rs.
"""

import argparse
import sys

import netref as rpyc


def hear(text):
    print(text, flush=True)


def main():
    parser = argparse.ArgumentParser(description="Takes part in a chat.")
    parser.add_argument("name", metavar="NAME")
    parser.add_argument("--host", default="localhost")
    parser.add_argument("--port", type=int, default=18861)
    options = parser.parse_args()

    with rpyc.connect(options.host, options.port) as conn:
        print("Here:", *conn.root.join(options.name, hear), flush=True)
        for line in sys.stdin:
            conn.root.say(line.rstrip("\n"))


if __name__ == "__main__":
    main()
