"""Copying files: several chunks under way, progress, and `netref cp`."""

import io
import os
import pathlib
import subprocess
import sys
import threading
import types

import pytest

from netref import classic
from netref.cli.cp import Copy
from netref.core.service import SlaveService
from netref.utils import transfer
from peer_process import STOCK6

CHUNK = 1000


@pytest.fixture(params=["thread", "process", pytest.param("stock", marks=STOCK6)])
def port(request, serve, peer_processes):
    if request.param == "thread":
        return serve(SlaveService).port
    return peer_processes("rpyc" if request.param == "stock" else "netref", "classic").port


@pytest.fixture
def conn(port, cleanup):
    return cleanup.enter_context(classic.connect("127.0.0.1", port))


@pytest.fixture
def here(cleanup):
    """A connection whose other side is a thread of this process, so that what it does can be looked into."""
    return cleanup.enter_context(classic.connect_thread())


def content(size):
    return os.urandom(size)


@pytest.mark.parametrize("size", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 10 * CHUNK, 57 * CHUNK + 5])
def test_sizes(conn, tmp_path, size):
    (tmp_path / "source").write_bytes(content(size))
    for name in ("up", "down"):
        (tmp_path / name).write_bytes(b"longer than what comes" * size)
    classic.upload(conn, str(tmp_path / "source"), str(tmp_path / "up"), chunk_size=CHUNK)
    assert (tmp_path / "up").read_bytes() == (tmp_path / "source").read_bytes()
    classic.download(conn, str(tmp_path / "source"), str(tmp_path / "down"), chunk_size=CHUNK)
    assert (tmp_path / "down").read_bytes() == (tmp_path / "source").read_bytes()


def test_more_than_what_may_be_under_way(conn, tmp_path):
    (tmp_path / "source").write_bytes(content(3 * transfer.WINDOW + 5))
    classic.upload(conn, str(tmp_path / "source"), str(tmp_path / "up"))
    classic.download(conn, str(tmp_path / "up"), str(tmp_path / "down"))
    assert (tmp_path / "down").read_bytes() == (tmp_path / "source").read_bytes()


def test_chunks_are_under_way_together(conn, tmp_path):
    """As many as the window has, and no more."""
    (tmp_path / "source").write_bytes(content(100 * CHUNK))
    under_way = []
    ask = transfer._Window.ask

    def counted(window, *args):
        ask(window, *args)
        under_way.append(len(window))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(transfer._Window, "ask", counted)
        patch.setattr(transfer, "WINDOW", 7 * CHUNK)
        classic.upload_file(conn, str(tmp_path / "source"), str(tmp_path / "up"), CHUNK)
        classic.download_file(conn, str(tmp_path / "source"), str(tmp_path / "down"), CHUNK)
    assert len(under_way) == 199  # the first chunk of a download is read before it is known how large the file is
    assert max(under_way) == 7


def test_the_order_in_which_the_other_side_writes_does_not_matter(here, tmp_path, monkeypatch):
    """Writes that a netref peer has begun may end in any order."""
    (tmp_path / "source").write_bytes(content(8 * CHUNK))
    pwrite, second = os.pwrite, threading.Event()

    def reordered(number, chunk, at):
        if at == 0:
            assert second.wait(10)
        written = pwrite(number, chunk, at)
        if at == CHUNK:
            second.set()
        return written

    monkeypatch.setattr(os, "pwrite", reordered)
    classic.upload_file(here, str(tmp_path / "source"), str(tmp_path / "up"), CHUNK)
    assert (tmp_path / "up").read_bytes() == (tmp_path / "source").read_bytes()


def test_less_is_read_and_written_than_asked_for(here, tmp_path, monkeypatch):
    (tmp_path / "source").write_bytes(content(10 * CHUNK + 7))
    pread, pwrite = os.pread, os.pwrite
    monkeypatch.setattr(os, "pread", lambda number, count, at: pread(number, min(count, 300), at))
    monkeypatch.setattr(os, "pwrite", lambda number, chunk, at: pwrite(number, chunk[:300], at))
    classic.upload_file(here, str(tmp_path / "source"), str(tmp_path / "up"), CHUNK)
    classic.download_file(here, str(tmp_path / "source"), str(tmp_path / "down"), CHUNK)
    assert (tmp_path / "up").read_bytes() == (tmp_path / "down").read_bytes() == (tmp_path / "source").read_bytes()


def test_a_file_that_grows_and_one_that_shrinks(here, tmp_path, monkeypatch):
    source = tmp_path / "source"
    for size, expected in ((50 * CHUNK, 50 * CHUNK), (3 * CHUNK + 5, 3 * CHUNK + 5)):
        source.write_bytes(content(20 * CHUNK))
        fstat = os.fstat

        def changed(number, size=size, fstat=fstat):
            status = fstat(number)  # as it was, and then it changes
            if status.st_size == 20 * CHUNK:
                with source.open("r+b") as file:
                    file.truncate(size)
            return status

        with monkeypatch.context() as patch:
            patch.setattr(os, "fstat", changed)
            classic.download_file(here, str(source), str(tmp_path / "down"), CHUNK)
        assert (tmp_path / "down").read_bytes() == source.read_bytes()
        assert source.stat().st_size == expected


@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="needs /proc")
def test_a_file_without_a_size(conn, tmp_path):
    """Those of /proc say that they are empty."""
    classic.download_file(conn, "/proc/filesystems", str(tmp_path / "down"), 20)
    assert (tmp_path / "down").read_bytes() == pathlib.Path("/proc/filesystems").read_bytes()


def test_a_file_without_places(conn, tmp_path):
    pipe = str(tmp_path / "pipe")
    os.mkfifo(pipe)
    data = content(20 * CHUNK)
    writer = threading.Thread(target=lambda: pathlib.Path(pipe).write_bytes(data))
    writer.start()
    classic.download_file(conn, pipe, str(tmp_path / "down"), CHUNK)
    writer.join()
    assert (tmp_path / "down").read_bytes() == data


def test_without_functions_for_places(here, tmp_path, monkeypatch):
    """As on Windows."""
    monkeypatch.delattr(os, "pread")
    monkeypatch.delattr(os, "pwrite")
    (tmp_path / "source").write_bytes(content(10 * CHUNK))
    classic.upload_file(here, str(tmp_path / "source"), str(tmp_path / "up"), CHUNK)
    classic.download_file(here, str(tmp_path / "up"), str(tmp_path / "down"), CHUNK)
    assert (tmp_path / "down").read_bytes() == (tmp_path / "source").read_bytes()


def test_a_mock_connection(tmp_path):
    (tmp_path / "source").write_bytes(content(10 * CHUNK))
    classic.upload_file(classic.MockClassicConnection(), str(tmp_path / "source"), str(tmp_path / "up"), CHUNK)
    assert (tmp_path / "up").read_bytes() == (tmp_path / "source").read_bytes()


def test_nothing_is_under_way_when_a_copy_fails(here, tmp_path, monkeypatch):
    """The file is closed then, and a late write could go to another file that has got its number."""
    (tmp_path / "source").write_bytes(content(20 * CHUNK))
    begun, ended = [], []
    pwrite = os.pwrite

    def failing(number, chunk, at):
        begun.append(at)
        try:
            if at == 3 * CHUNK:
                raise OSError(28, "No space left on device")
            return pwrite(number, chunk, at)
        finally:
            ended.append(at)

    monkeypatch.setattr(os, "pwrite", failing)
    with pytest.raises(OSError, match="No space left"):
        classic.upload_file(here, str(tmp_path / "source"), str(tmp_path / "up"), CHUNK)
    assert len(begun) == len(ended) == 20

    def stop(done, total, path):
        if done:
            raise KeyError("stop")

    with pytest.raises(KeyError):
        classic.upload_file(here, str(tmp_path / "source"), str(tmp_path / "up"), CHUNK, progress=stop)
    assert len(begun) == len(ended)


@pytest.mark.parametrize("name", ["../out", "/tmp/out", "..", ".", "", "a/b", "a\0b", b"../out", 5, None])
def test_names_that_lead_elsewhere(here, tmp_path, monkeypatch, name):
    """The other side says what its directories have in them, and must not choose where files are written."""
    monkeypatch.setattr(os, "listdir", lambda path: ["good", name])
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "good").write_bytes(b"good")
    (tmp_path / "out").write_bytes(b"mine")
    with pytest.raises(ValueError, match="no name here"):
        classic.download(here, str(tmp_path / "there"), str(tmp_path / "here"))
    assert (tmp_path / "out").read_bytes() == b"mine"
    assert (tmp_path / "here" / "good").read_bytes() == b"good"


def test_links_that_lead_back(conn, tmp_path):
    """By two of them, there are more ways than anybody has time for."""
    tree = tmp_path / "tree"
    for name in ("a", "b"):
        (tree / name).mkdir(parents=True)
        (tree / name / "file").write_bytes(name.encode())
    (tree / "a" / "up").symlink_to("..")
    (tree / "a" / "over").symlink_to("../b")
    (tree / "b" / "over").symlink_to("../a")
    (tree / "b" / "self").symlink_to(".")
    found = []
    for copy, target in ((classic.upload, tmp_path / "up"), (classic.download, tmp_path / "down")):
        copy(conn, str(tree), str(target))
        found.append(sorted(str(path.relative_to(target)) for path in target.rglob("*") if path.is_file()))
    assert found == [["a/file", "a/over/file", "b/file", "b/over/file"]] * 2


# ---- progress


def test_progress_of_files(conn, tmp_path):
    (tmp_path / "tree" / "deep").mkdir(parents=True)
    sizes = {"large": 10 * CHUNK + 5, "small": 3, "deep/empty": 0}
    for name, size in sizes.items():
        (tmp_path / "tree" / name).write_bytes(content(size))
    for copy, source, target in ((classic.upload, "tree", "there"), (classic.download, "there", "back")):
        heard = {}
        arguments = conn, str(tmp_path / source), str(tmp_path / target)
        copy(
            *arguments,
            chunk_size=CHUNK,
            progress=lambda done, total, path, heard=heard: heard.setdefault(path, []).append((done, total)),
        )
        assert set(heard) == {str(tmp_path / source / name) for name in sizes}
        for name, size in sizes.items():
            reports = heard[str(tmp_path / source / name)]
            assert reports == sorted(reports, key=lambda report: report[0])
            assert reports[-1] == (size, size)
            assert {total for _, total in reports} <= {size, None}


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_the_bar():
    terminal = Terminal()
    bar = transfer.Bar("a file", terminal)
    bar.INTERVAL = 0
    for done in (0, 50, 100, 100):
        bar(done, 100)
    lines = terminal.getvalue().split("\r")[1:]
    assert len(lines) == 3
    assert lines[0].startswith("a file  [ ")
    assert " 50%" in lines[1]
    assert "100%" in lines[2]
    assert lines[2].endswith("\n")
    assert {len(line.rstrip("\n")) for line in lines} == {79}
    assert "1.0 KiB" in bar.line(1024, None, 1)
    assert "#" not in bar.line(1024, None, 1)
    assert len(transfer.Bar("x" * 500, terminal).line(1, 2, 0)) == 79


def test_the_bar_is_drawn_now_and_then():
    terminal = Terminal()
    bar = transfer.Bar("x", terminal)
    bar.INTERVAL = 1000
    for done in range(100):
        bar(done, 100)
    assert terminal.getvalue().count("\r") == 1


def test_no_bar_without_a_terminal(conn, tmp_path, capsys):
    (tmp_path / "source").write_bytes(content(10))
    classic.upload(conn, str(tmp_path / "source"), str(tmp_path / "up"), progress=True)
    assert capsys.readouterr() == ("", "")


# ---- netref cp


def cp(*arguments):
    command = [sys.executable, "-m", "netref", "cp", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=50, check=False)


def test_netref_cp(port, tmp_path):
    there = f"127.0.0.1:{port}:"
    (tmp_path / "tree" / "deep").mkdir(parents=True)
    (tmp_path / "tree" / "deep" / "file").write_bytes(content(300_000))
    (tmp_path / "target").mkdir()
    for source, target in ((tmp_path / "tree", f"{there}{tmp_path}/new"), (f"{there}{tmp_path}/new/", tmp_path / "target")):
        done = cp(source, target)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert (tmp_path / "target" / "new" / "deep" / "file").read_bytes() == (tmp_path / "tree" / "deep" / "file").read_bytes()
    assert cp(f"{tmp_path}/tree/deep/file", f"{there}{tmp_path}/target").returncode == 0
    assert (tmp_path / "target" / "file").stat().st_size == 300_000


def test_netref_cp_says_what_is_wrong(port, tmp_path):
    there = f"127.0.0.1:{port}:"
    done = cp(tmp_path / "missing", there + str(tmp_path))
    assert done.returncode == 1
    assert done.stderr.startswith("netref cp: cannot upload ")
    done = cp(there + str(tmp_path / "missing"), tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("netref cp: cannot download ")
    for arguments in (("a", "b"), (there + "a", there + "b"), (there, "b"), ("a", "host:99999:b")):
        done = cp(*arguments)
        assert done.returncode == 2
        assert "netref cp: error: " in done.stderr


@pytest.mark.parametrize(
    ("name", "outcome"),
    [("../out", 1), ("a\x1b[2Jb", 1), ("", 0), ("good", 0)],
)
def test_netref_cp_and_a_hostile_server(serve, tmp_path, name, outcome):
    """It gets nothing of the client's to use, chooses no file to write to, and does not write to the terminal by an error."""
    learned = []

    class Hostile(SlaveService):
        def getmodule(self, wanted):
            with pytest.raises(TypeError):
                learned.append(self._conn.root.eval("1"))
            with pytest.raises(AttributeError):
                learned.append(self._conn.root.__class__.__init__.__globals__)
            return types.SimpleNamespace(path=self, open=open) if wanted == "os" else super().getmodule(wanted)

        def basename(self, path):
            if "\x1b" in name:
                raise LookupError(name)
            return name

        def isdir(self, path):
            return False

        def isfile(self, path):
            return True

    (tmp_path / "source").write_bytes(b"")
    (tmp_path / "target").mkdir()
    target = tmp_path / "target" if name else tmp_path / "file"
    done = cp(f"127.0.0.1:{serve(Hostile).port}:{tmp_path}/source", target)
    assert (done.returncode, learned) == (outcome, [])
    assert not (tmp_path / "out").exists() and "\x1b" not in done.stderr
    assert len(done.stderr.splitlines()) == outcome


@pytest.mark.parametrize(
    "text, host, port, path",
    [
        ("host:1:a:b", "host", 1, "a:b"),
        ("host::/x", "host", 18812, "/x"),
        ("[::1]:5:c:\\x", "::1", 5, "c:\\x"),
    ],
)
def test_places_on_servers(text, host, port, path):
    command = parsed(text, "here")
    assert (command.host, command.port, command.path) == (host, port, path)


def test_what_looks_like_a_place_on_a_server():
    assert parsed("./a:1:b", "host::x").remote_source is None
    assert parsed("c:\\file", "host::x").remote_source is None


def parsed(*arguments):
    class Parsed(Copy):
        def main(self):
            return 0

    return Parsed.run(["netref cp", *arguments], exit=False)[0]
