"""Watches files for clients, and calls a function of theirs when one changes.

    python file_monitor_server.py [PORT]

Port 18861 unless given; with 0, a free one, which the log says. Clients learn the size of any file that this process can
see: leave it on loopback.
"""

import argparse
import os
import threading

import netref as rpyc

INTERVAL = 0.05  # seconds between two looks at a file


class FileMonitor:
    """One watched file. A client gets a reference to it and stops it when it has seen enough."""

    def __init__(self, path, changed):
        self.path, self.changed = path, changed
        self.seen = self.look()
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self.watch, daemon=True)
        self.thread.start()

    def look(self):
        try:
            status = os.stat(self.path)
        except OSError:
            return None, None
        return status.st_size, status.st_mtime_ns

    def watch(self):
        while not self.stopping.wait(INTERVAL):
            before, self.seen = self.seen, self.look()
            if self.seen != before:
                try:
                    self.changed(before[0], self.seen[0])
                except EOFError:
                    return  # the client is gone

    def exposed_stop(self):
        """No call begins after this has returned. Not to be called by the function itself."""
        self.stopping.set()
        self.thread.join()


class FileMonitorService(rpyc.Service):
    def on_connect(self, conn):
        self.monitors = []

    def on_disconnect(self, conn):
        for monitor in self.monitors:
            monitor.stopping.set()

    def exposed_watch(self, path, changed):
        """Calls `changed` with the size before and after; None for no file. Returns the monitor, which has `stop()`."""
        self.monitors.append(FileMonitor(path, changed))
        return self.monitors[-1]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Watches files for clients.")
    parser.add_argument("port", type=int, nargs="?", default=18861)
    options = parser.parse_args()
    rpyc.setup_logger()
    rpyc.ThreadedServer(FileMonitorService, hostname="localhost", port=options.port).start()
