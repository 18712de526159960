"""Copying of files and directories between the two sides of a classic connection, with several chunks under way.

Chunks are read and written at their places in the file (``pread``, ``pwrite``), so that it does not matter in which order the
other side gets to them. Where it has no such functions, as on Windows, or the file has no places, as a pipe, one chunk follows
the other.
"""

import collections
import contextlib
import os
import stat
import sys
import time

from netref.core import consts
from netref.core.netref import BaseNetref
from netref.core.vinegar import printable

#: Bytes of one message at most, and by default between netref peers; RPyC's default, 64,000, is best for a stock peer.
LARGEST = 1024 * 1024
#: Bytes that are under way at most. More would keep a longer line busy, and cost more than it saves on a short one.
WINDOW = 4 * 1024 * 1024


def upload_file(conn, localpath, remotepath, chunk_size, report):
    """Copies a file to the other side."""
    chunk_size = _size_of_chunks(conn, chunk_size)
    with open(localpath, "rb") as source, conn.builtin.open(remotepath, "wb") as target:
        status = os.fstat(source.fileno())
        size = status.st_size if stat.S_ISREG(status.st_mode) else None
        report(0, size)
        # A small file takes fewer round trips in turn.
        places = _places(conn, target, "pwrite") if size is not None and size > chunk_size > 0 else None
        if places is None:
            _copy_in_turn(source, target, chunk_size, 0, size, report)
        else:
            _upload(conn, source, *places, chunk_size, size, report)


def download_file(conn, remotepath, localpath, chunk_size, report):
    """Copies a file from the other side."""
    chunk_size = _size_of_chunks(conn, chunk_size)
    with conn.builtin.open(remotepath, "rb") as source, open(localpath, "wb") as target:
        chunk = source.read(chunk_size)
        target.write(chunk)
        places = _places(conn, source, "pread") if len(chunk) == chunk_size > 0 else None
        if places is None:
            report(len(chunk), None)
            _copy_in_turn(source, target, chunk_size, len(chunk), None, report)
        else:
            _download(conn, target, *places, chunk_size, report)


def _size_of_chunks(conn, wanted):
    is_default = wanted == consts.STREAM_CHUNK and getattr(conn, "peer_software", None) is not None
    return LARGEST if is_default else min(wanted, LARGEST)


def _upload(conn, source, write, number, _, chunk_size, size, report):
    with _Window(conn, write, chunk_size) as window:
        at = 0
        while True:
            chunk = source.read(chunk_size)
            while window and (not chunk or window.is_full()):
                done = _finish_write(write, number, *window.next())
                report(done, max(size, done))
            if not chunk:
                return
            window.ask((number, chunk, at), (chunk, at))
            at += len(chunk)


def _finish_write(write, number, written, chunk, at):
    """Sees to it that all of a chunk is written, which it is by then unless the disk is nearly full."""
    while written < len(chunk):
        chunk, at = chunk[written:], at + written
        written = write(number, chunk, at)
    return at + len(chunk)


def _download(conn, target, read, number, size, chunk_size, report):
    """Copies what follows the first chunk."""
    done = chunk_size
    report(done, max(size, done))
    with _Window(conn, read, chunk_size) as window:
        asked = done
        while asked < size or window:
            if asked < size and not window.is_full():
                count = min(chunk_size, size - asked)
                window.ask((number, count, asked), (count,))
                asked += count
                continue
            chunk, count = window.next()
            target.write(chunk)
            done += len(chunk)
            if len(chunk) < count:  # it has become shorter, or somebody writes to it: what follows is not asked for yet
                break
            report(done, size)
    # What was added since, or was there all the time: the files of /proc have no size.
    while chunk := read(number, chunk_size, done):
        target.write(chunk)
        done += len(chunk)
        report(done, max(size, done))
    report(done, done)


def check_name(name):
    """Sees to it that what the other side calls the name of a file is one here, and leads to no other directory.

    :raises ValueError: if not
    """
    text = os.fsdecode(name) if isinstance(name, str | bytes) else ""
    if text in ("", os.curdir, os.pardir) or text != os.path.basename(text) or "\0" in text:
        raise ValueError(f"the other side has a file {ascii(name)[:200]}, which is no name here")


def leads_back(path, name):
    """Whether it is a link to a directory that it is in.

    :param path: ``os.path``, of either side
    """
    if not path.islink(name):
        return False
    target, above = path.realpath(name), path.dirname(name)
    while path.realpath(above) != target:
        below, above = above, path.dirname(above)
        if below == above:
            return False
    return True


class _Window:
    """Calls of a remote function that are under way, oldest first, each with what to remember of it.

    When the block ends, for whatever reason, none is under way any more: the file that they are for can be closed.
    """

    def __init__(self, conn, function, chunk_size):
        self.conn = conn
        self.function = function
        self.most = WINDOW // chunk_size
        self.calls = collections.deque()

    def __enter__(self):
        return self

    def __exit__(self, *exc_info):
        for result, _ in self.calls:
            with contextlib.suppress(Exception):
                result.wait()

    def __len__(self):
        return len(self.calls)

    def is_full(self):
        return len(self.calls) >= self.most

    def ask(self, args, remembered):
        self.calls.append((self.conn.async_request(consts.HANDLE_CALL, self.function, args, ()), remembered))

    def next(self):
        """Waits for the oldest call: its result, and what was remembered."""
        result, remembered = self.calls[0]
        result.set_expiry(self.conn._config["sync_request_timeout"])
        value = result.value
        self.calls.popleft()
        return (value, *remembered)


def _places(conn, file, name):
    """The other side's function that reads or writes a file at a place, the file's number there and its size; or None if there
    is no such function, or the file has no places."""
    if not isinstance(file, BaseNetref):
        return None  # a connection in name only: see MockClassicConnection
    function = getattr(conn.modules.os, name, None)
    if function is None:
        return None
    number = file.fileno()
    status = conn.modules.os.fstat(number)
    return (function, number, status.st_size) if stat.S_ISREG(status.st_mode) else None


def _copy_in_turn(source, target, chunk_size, done, size, report):
    while chunk := source.read(chunk_size):
        target.write(chunk)
        done += len(chunk)
        report(done, size)
    report(done, done)


# ---- progress


def reporter(progress, path):
    """What to call with the bytes copied and all bytes, or None for all if that is not known, of the file at ``path``.

    :param progress: None, True for a bar on the terminal, or a function to call with these and the path. It hears of the end more
        than once, if need be, with both numbers the same
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
        self.is_over = False
        self.name = printable(os.fsdecode(name))
        self.began = time.monotonic()
        self.due = self.began

    def __call__(self, done, total):
        now = time.monotonic()
        is_over = total is not None and done >= total
        if self.is_over or (now < self.due and not is_over):
            return
        self.is_over = is_over
        self.due = now + self.INTERVAL
        self.file.write("\r" + self.line(done, total, now - self.began) + ("\n" if is_over else ""))
        self.file.flush()

    def columns(self):
        try:
            return (os.get_terminal_size(self.file.fileno()).columns or 80) - 1
        except (OSError, ValueError):  # no terminal of the system's
            return 79

    def line(self, done, total, seconds):
        speed = f"{_bytes(done / seconds)}/s" if seconds > 0 and done else ""
        columns = self.columns()
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
