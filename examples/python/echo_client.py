"""What crosses a connection, and how: values are copied, objects stay where they are, and know their way home.

python echo_client.py [--host HOST] [--port PORT] [WORD ...]
"""

import argparse

import netref as rpyc


def main():
    parser = argparse.ArgumentParser(description="Sends words to the echo server, and a list.")
    parser.add_argument("words", nargs="*", default=["hello", "world"], metavar="WORD")
    parser.add_argument("--host", default="localhost")
    parser.add_argument("--port", type=int, default=18861)
    options = parser.parse_args()

    with rpyc.connect(options.host, options.port) as conn:
        for word in options.words:
            print("Echo:", conn.root.echo(word))
        print("Equal data came back:", conn.root.echo((1, 2.5, None, b"x")) == (1, 2.5, None, b"x"))
        words = list(options.words)  # no plain data: only a reference crosses
        print("The same list came back:", conn.root.echo(words) is words)
        print("Calls:", conn.root.count())


if __name__ == "__main__":
    main()
