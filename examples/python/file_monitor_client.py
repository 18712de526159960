"""Is called back when a file changes on the server's machine, and stops the watching cleanly.

    python file_monitor_client.py [--host HOST] [--port PORT] [--changes N] PATH

Ends after so many changes, 3 unless given. Change the file meanwhile: echo more >> PATH
"""

import argparse
import os
import queue

import netref as rpyc


def main():
    parser = argparse.ArgumentParser(description="Watches a file on another machine.")
    parser.add_argument("path", metavar="PATH")
    parser.add_argument("--host", default="localhost")
    parser.add_argument("--port", type=int, default=18861)
    parser.add_argument("--changes", type=int, default=3)
    options = parser.parse_args()

    changes = queue.Queue()
    with rpyc.connect(options.host, options.port) as conn:
        # The server calls the function on a thread that serves the connection; the main thread takes it from there.
        monitor = conn.root.watch(os.path.abspath(options.path), lambda before, after: changes.put((before, after)))
        print("Watching", flush=True)
        for _ in range(options.changes):
            before, after = changes.get()
            print(f"Size {before} -> {after}", flush=True)
        monitor.stop()
        print("Stopped")


if __name__ == "__main__":
    main()
