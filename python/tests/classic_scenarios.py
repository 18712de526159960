"""What classic mode can do, on netref and on stock RPyC alike.

Each scenario gets the package and the port of a classic server.
"""

import contextlib
import io
import os
import pathlib
import sys
import tempfile


@contextlib.contextmanager
def _connected(rpyc, port):
    conn = rpyc.classic.connect("127.0.0.1", int(port))
    try:
        yield conn
    finally:
        conn.close()


@contextlib.contextmanager
def _terminal(typed=""):
    """Takes the place of this process's terminal, and collects what is written to it."""
    kept = sys.stdin, sys.stdout
    sys.stdin, sys.stdout = io.StringIO(typed), io.StringIO()
    try:
        yield sys.stdout
    finally:
        sys.stdin, sys.stdout = kept


def _raises(kind, function, *args, **kwargs):
    try:
        function(*args, **kwargs)
    except kind as error:
        return error
    raise AssertionError(f"no {kind.__name__}")


def copying_files(rpyc, port):
    with _connected(rpyc, port) as conn, tempfile.TemporaryDirectory() as name:
        here = pathlib.Path(name)
        source = here / "source"
        (source / "deep" / "empty").mkdir(parents=True)
        (source / "large").write_bytes(os.urandom(200_000))
        (source / "deep" / "small.txt").write_bytes(b"line\r\n")
        (source / "deep" / "skipped.tmp").write_bytes(b"")
        (source / "nothing").write_bytes(b"")
        rpyc.classic.upload(conn, str(source), str(here / "there"), filter=lambda name: not name.endswith(".tmp"))
        assert not (here / "there" / "deep" / "skipped.tmp").exists()
        rpyc.classic.download(conn, str(here / "there"), str(here / "back"), chunk_size=1000)
        for path in ("large", "nothing", "deep/small.txt"):
            assert (here / "back" / path).read_bytes() == (source / path).read_bytes()
        assert (here / "back" / "deep" / "empty").is_dir()

        rpyc.classic.upload_file(conn, str(source / "large"), str(here / "copy"))
        rpyc.classic.download_file(conn, str(here / "copy"), str(here / "copied back"))
        rpyc.classic.upload_dir(conn, str(source / "deep"), str(here / "deep there"))
        rpyc.classic.download_dir(conn, str(here / "deep there"), str(here / "deep back"))
        assert (here / "copy").read_bytes() == (here / "copied back").read_bytes() == (source / "large").read_bytes()
        assert (here / "deep back" / "small.txt").read_bytes() == b"line\r\n"
        _raises(ValueError, rpyc.classic.upload, conn, str(here / "missing"), str(here / "x"))
        _raises(ValueError, rpyc.classic.download, conn, str(here / "missing"), str(here / "x"))
        rpyc.classic.upload(conn, str(here / "missing"), str(here / "x"), ignore_invalid=True)
        rpyc.classic.download(conn, str(here / "missing"), str(here / "x"), ignore_invalid=True)
        assert not (here / "x").exists()


def uploading_a_package(rpyc, port):
    import wsgiref

    with _connected(rpyc, port) as conn, tempfile.TemporaryDirectory() as name:
        target = os.path.join(name, "wsgi_uploaded")
        rpyc.classic.upload_package(conn, wsgiref, target)
        conn.modules.sys.path.insert(0, name)
        try:
            assert conn.modules["wsgi_uploaded.util"].guess_scheme({}) == "http"
        finally:
            conn.modules.sys.path.remove(name)
        assert rpyc.classic.upload_module is rpyc.classic.upload_package


def obtaining_and_delivering(rpyc, port):
    with _connected(rpyc, port) as conn:
        data = {"a": [1, 2.5, {3}], "b": ("c", None)}
        delivered = rpyc.classic.deliver(conn, data)
        assert isinstance(delivered, rpyc.BaseNetref)
        assert rpyc.classic.obtain(delivered) == data
        assert conn.modules["rpyc.lib.compat"].pickle.dumps(1)


def teleporting(rpyc, port):
    def worker(number, *, factor=2, extra=("x", None)):
        import os

        def inner(value):
            return value * factor

        return [inner(item) for item in range(number)], os.getpid(), extra

    with _connected(rpyc, port) as conn:
        theirs = conn.modules.os.getpid()
        far = conn.teleport(worker)
        assert isinstance(far, rpyc.BaseNetref)
        values, process, extra = far(3)
        assert (list(values), process, extra) == ([0, 2, 4], theirs, ("x", None))
        assert list(conn.namespace["worker"](2, factor=10)[0]) == [0, 10]

        conn.execute("offset = 100")
        namespace = {}
        exec("def shifted(x):\n    try:\n        return x + offset\n    finally:\n        pass", namespace)
        assert rpyc.classic.teleport_function(conn, namespace["shifted"], def_=False)(1) == 101
        assert "shifted" not in conn.namespace
        globals_there = conn.builtins.dict(offset=5)
        assert rpyc.classic.teleport_function(conn, namespace["shifted"], globals_there)(1) == 6

        captured = 1
        _raises(TypeError, conn.teleport, lambda: captured)
        mutable = []
        _raises(TypeError, conn.teleport, lambda x=mutable: x)


def redirecting_input_and_output(rpyc, port):
    with _connected(rpyc, port) as conn:
        before = conn.modules.sys.stdout
        with _terminal("typed here\n") as screen, rpyc.classic.redirected_stdio(conn):
            conn.execute("import sys\nprint(input().upper())")
            conn.modules.sys.stdout.write("written\n")
        assert screen.getvalue() == "TYPED HERE\nwritten\n"
        assert conn.modules.sys.stdout == before


def interacting(rpyc, port):
    with _connected(rpyc, port) as conn:
        with _terminal("print(number * 2)\n") as screen:
            kept, sys.stderr = sys.stderr, screen
            try:
                rpyc.classic.interact(conn, {"number": 21})
            finally:
                sys.stderr = kept
        assert "42" in screen.getvalue()


def looking_into_an_exception(rpyc, port):
    with _connected(rpyc, port) as conn:
        conn.execute("def fail(culprit):\n    raise ValueError(culprit)")
        _raises(ValueError, conn.namespace["fail"], 4711)
        with _terminal("p culprit + 1\nq\n") as screen:
            rpyc.classic.pm(conn)
        assert "4712" in screen.getvalue()


def calling_back_and_forth(rpyc, port):
    def bounce(partner, depth):
        return 0 if depth == 0 else 1 + partner(bounce, depth - 1)

    with _connected(rpyc, port) as conn:
        conn.execute("def bounce(partner, depth):\n    return 0 if depth == 0 else 1 + partner(bounce, depth - 1)")
        assert conn.namespace["bounce"](bounce, 20) == 20
        assert list(conn.builtins.sorted([3, 1, 2], key=lambda number: -number)) == [3, 2, 1]
        error = _raises(ZeroDivisionError, conn.namespace["bounce"], lambda *_: 1 // 0, 1)
        assert error.args == ("integer division or modulo by zero",)


def using_objects(rpyc, port):
    with _connected(rpyc, port) as conn:
        numbers = conn.builtins.list(range(30))
        assert len(numbers) == 30 and numbers[-1] == 29 and list(numbers[:2]) == [0, 1] and 7 in numbers
        assert [number for number in numbers] == list(rpyc.buffiter(numbers)) == list(range(30))
        assert isinstance(numbers, list) and not isinstance(numbers, dict)
        numbers[0] = "first"
        del numbers[1:]
        assert repr(numbers) == str(numbers) == "['first']"
        assert "append" in dir(numbers)
        conn.execute("class Thing:\n    def __eq__(self, other): return other == 3\n    __hash__ = None")
        thing = conn.namespace["Thing"]()
        assert thing == 3 and thing != 4
        thing.colour = "blue"
        assert thing.colour == "blue"
        del thing.colour
        _raises(AttributeError, getattr, thing, "colour")
        with conn.builtins.open(os.devnull) as file:
            assert not file.closed
        assert file.closed
        assert conn.builtins.complex(1, 2) == 1 + 2j and conn.eval("slice(1, None)") == slice(1, None)
        big = b"x" * 1_000_000
        assert conn.builtins.len(big) == 1_000_000
        assert conn.eval("b'y' * 1000000") == b"y" * 1_000_000
        conn.ping()


def mocking_a_connection(rpyc, port):
    mock = rpyc.classic.MockClassicConnection()
    assert mock.modules.os is os
    assert mock.eval("1 + 1") == 2
    mock.execute("x = 5")
    assert mock.namespace["x"] == 5
    assert mock.builtins.len is len and mock.builtin is mock.builtins

    def double(x):
        return 2 * x

    assert mock.teleport(double)(4) == 8
