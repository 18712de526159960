"""Copying of files and directories between the two sides of a classic connection, with several chunks under way.

Chunks are read and written at their places in the file (``pread``, ``pwrite``), so that it does not matter in which order the other
side gets to them. Where it has no such functions, as on Windows, or the file has no places, as a pipe, one chunk follows the
other.
"""

import collections
import os
import shutil
import stat
import sys
import time

from netref.core import consts
from netref.core.netref import BaseNetref

#: Bytes that are under way at most, whatever the size of a chunk; and chunks, at least.
WINDOW = 8 * 1024 * 1024
LEAST = 4


def upload_file(conn, localpath, remotepath, chunk_size, report):
    """Copies a file to the other side."""
    with open(localpath, "rb") as source:
        size = _size(source)
        with conn.builtin.open(remotepath, "wb") as target:
            write = _places(conn, target, "pwrite")
            if write is None:
                _copy_in_turn(source, target, chunk_size, size, report)
            else:
                _upload(conn, source, target.fileno(), write, chunk_size, size, report)


def download_file(conn, remotepath, localpath, chunk_size, report):
    """Copies a file from the other side."""
    with conn.builtin.open(remotepath, "rb") as source, open(localpath, "wb") as target:
        read = _places(conn, source, "pread")
        if read is None:
            _copy_in_turn(source, target, chunk_size, None, report)
        else:
            _download(conn, source.fileno(), read, target, chunk_size, report)


def _upload(conn, source, number, write, chunk_size, size, report):
    window = _Window(conn, write, chunk_size)
    at = 0
    report(0, size)
    while chunk := source.read(chunk_size):
        if window.is_full():
            _finish_write(*window.next(), report, size)
        window.ask((number, chunk, at), (write, number, chunk, at))
        at += len(chunk)
    while window:
        _finish_write(*window.next(), report, size)


def _finish_write(written, write, number, chunk, at, report, size):
    while written < len(chunk):  # the disk is full, or will say so now
        chunk, at = chunk[written:], at + written
        written = write(number, chunk, at)
    report(at + len(chunk), size)


def _download(conn, number, read, target, chunk_size, report):
    size = conn.modules.os.fstat(number).st_size
    window = _Window(conn, read, chunk_size)
    asked = done = 0
    report(0, size)
    while asked < size or window:
        if asked < size and not window.is_full():
            window.ask((number, chunk_size, asked), (asked,))
            asked += chunk_size
            continue
        chunk, at = window.next()
        if not chunk:
            continue  # it is shorter than it was
        target.seek(at)
        target.write(chunk)
        done = at + len(chunk)
        while len(chunk) < chunk_size and done < size:  # less than asked for, and not at the end
            chunk = read(number, min(chunk_size, size - done), done)
            if not chunk:
                break
            target.write(chunk)
            done += len(chunk)
        report(done, size)
    # What was added meanwhile, or was there all the time: the files of /proc have no size.
    while chunk := read(number, chunk_size, done):
        target.seek(done)
        target.write(chunk)
        done += len(chunk)
        report(done, max(size, done))


class _Window:
    """Calls of a remote function that are under way, oldest first, each with what to remember of it."""

    def __init__(self, conn, function, chunk_size):
        self.conn = conn
        self.function = function
        self.most = max(LEAST, WINDOW // chunk_size)
        self.calls = collections.deque()

    def __len__(self):
        return len(self.calls)

    def is_full(self):
        return len(self.calls) >= self.most

    def ask(self, args, remembered):
        self.calls.append((self.conn.async_request(consts.HANDLE_CALL, self.function, args, ()), remembered))

    def next(self):
        """Waits for the oldest call: its result, and what was remembered."""
        result, remembered = self.calls.popleft()
        result.set_expiry(self.conn._config["sync_request_timeout"])
        return (result.value, *remembered)


def _places(conn, file, name):
    """The other side's function that reads or writes a file at a place, if it has one and the file has places."""
    if not isinstance(file, BaseNetref):
        return None  # a connection in name only: see MockClassicConnection
    function = getattr(conn.modules.os, name, None)
    if function is None or not stat.S_ISREG(conn.modules.os.fstat(file.fileno()).st_mode):
        return None
    return function


def _copy_in_turn(source, target, chunk_size, size, report):
    done = 0
    report(0, size)
    while chunk := source.read(chunk_size):
        target.write(chunk)
        done += len(chunk)
        report(done, size)


def _size(file):
    status = os.fstat(file.fileno())
    return status.st_size if stat.S_ISREG(status.st_mode) else None


# ---- progress


def reporter(progress, path):
    """What to call with the bytes copied and all bytes, or None for all if that is not known, of the file at ``path``.

    :param progress: None, True for a bar on the terminal, or a function to call with these and the path
    """
    if progress is None or progress is False:
        return _ignore
    if progress is True:
        bar = Bar(os.path.basename(path) or path)
        return bar if bar.is_shown else _ignore
    return lambda done, total: progress(done, total, path)


def _ignore(done, total):
    pass


class Bar:
    """A line on the terminal, if standard error is one, that shows how far a copy is."""

    INTERVAL = 0.1

    def __init__(self, name, file=None):
        self.file = sys.stderr if file is None else file
        self.is_shown = self.file is not None and self.file.isatty()
        self.name = name
        self.began = time.monotonic()
        self.due = self.began

    def __call__(self, done, total):
        now = time.monotonic()
        is_over = total is not None and done >= total
        if now < self.due and not is_over:
            return
        self.due = now + self.INTERVAL
        self.file.write("\r" + self.line(done, total, now - self.began) + ("\n" if is_over else ""))
        self.file.flush()

    def line(self, done, total, seconds):
        speed = f"{_bytes(done / seconds)}/s" if seconds > 0 and done else ""
        columns = shutil.get_terminal_size().columns - 1
        if total is None:
            return f"{self.name}  {_bytes(done)}  {speed}"[:columns].ljust(columns)
        share = 1 if total == 0 else min(1, done / total)
        tail = f"  {share:4.0%}  {_bytes(done):>9}  {speed:>11}"
        name = self.name[: max(8, columns - len(tail) - 12)]
        room = columns - len(name) - len(tail) - 4
        bar = f"  [{('#' * round(share * room)).ljust(room)}]" if room >= 8 else ""
        return (name + bar + tail)[:columns].ljust(columns)


def _bytes(count):
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024 or unit == "GiB":
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
