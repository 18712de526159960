"""What goes over the wire, written and read by hand; and channels and streams by themselves."""

import contextlib
import os
import socket
import subprocess
import sys
import threading
import zlib

from scenarios.host import raises


def _serve_one(side, serve):
    """Has one client served by a function of its socket, in a thread, and returns the port."""
    listener = socket.create_server(("127.0.0.1", 0))
    side.cleanup.callback(listener.close)

    def run():
        with listener.accept()[0] as sock, contextlib.suppress(EOFError):
            serve(sock)

    threading.Thread(target=run, daemon=True).start()
    return listener.getsockname()[1]


def _channel(side, port):
    channel = side.rpyc.Channel(side.rpyc.SocketStream.connect("127.0.0.1", port))
    side.cleanup.callback(channel.close)
    return channel


def _send(side, channel, kind, number, content):
    brine = side.rpyc.core.brine
    channel.send(brine.I1.pack(kind) + brine.dump((number, content)))


def _receive(side, channel):
    data = channel.recv()
    return data[0], side.rpyc.core.brine.load(data[1:])


def _serve_things(side):
    class Things(side.rpyc.Service):
        def exposed_pair(self):
            return 1, [2]

        def exposed_nothing(self):
            return iter(())

    return side.serve(Things)


def requests_written_by_hand(side):
    consts = side.rpyc.core.consts
    channel = _channel(side, side.far(_serve_things))
    numbers = iter(range(100, 200))

    def request(handler, *boxed):
        number = next(numbers)
        _send(side, channel, consts.MSG_REQUEST, number, (handler, (consts.LABEL_TUPLE, boxed)))
        kind, (answered, content) = _receive(side, channel)
        assert answered == number
        return kind, content

    def call(name):
        return request(consts.HANDLE_CALLATTR, mine, (consts.LABEL_VALUE, name), (consts.LABEL_VALUE, ()))

    kind, (label, root) = request(consts.HANDLE_GETROOT)
    assert (kind, label) == (consts.MSG_REPLY, consts.LABEL_REMOTE_REF)
    mine = consts.LABEL_LOCAL_REF, root
    assert call("get_service_name") == (consts.MSG_REPLY, (consts.LABEL_VALUE, "THINGS"))
    kind, (label, (first, second)) = call("pair")
    assert (kind, label) == (consts.MSG_REPLY, consts.LABEL_TUPLE)
    assert first == (consts.LABEL_VALUE, 1) and second[0] == consts.LABEL_REMOTE_REF and second[1][0] == "builtins.list"
    kind, ((module, name), *_) = call("missing")
    assert (kind, module, name) == (consts.MSG_EXCEPTION, "builtins", "AttributeError")
    _, (_, iterator) = call("nothing")
    stop = request(
        consts.HANDLE_CALLATTR, (consts.LABEL_LOCAL_REF, iterator), *((consts.LABEL_VALUE, v) for v in ("__next__", ()))
    )
    assert stop == (consts.MSG_EXCEPTION, consts.EXC_STOP_ITERATION)


def _answer_by_hand(side):
    consts = side.rpyc.core.consts
    answers = {
        consts.HANDLE_PING: (consts.MSG_REPLY, (consts.LABEL_VALUE, "something else")),
        consts.HANDLE_GETROOT: (consts.MSG_REPLY, (consts.LABEL_REMOTE_REF, ("builtins.list", 1, 2))),
        consts.HANDLE_GETATTR: (
            consts.MSG_REPLY,
            (consts.LABEL_TUPLE, ((consts.LABEL_VALUE, 1), (consts.LABEL_VALUE, 2))),
        ),
        consts.HANDLE_CALL: (consts.MSG_EXCEPTION, consts.EXC_STOP_ITERATION),
    }

    def serve(sock):
        channel = side.rpyc.Channel(side.rpyc.SocketStream(sock))
        while True:
            kind, (number, (handler, arguments)) = _receive(side, channel)
            assert kind == consts.MSG_REQUEST
            if handler == consts.HANDLE_CLOSE:
                break
            if handler == consts.HANDLE_REPR:  # tells what it was sent
                _send(side, channel, consts.MSG_REPLY, number, (consts.LABEL_VALUE, arguments))
            elif handler in answers:
                kind, content = answers[handler]
                _send(side, channel, kind, number, content)

    return _serve_one(side, serve)


def answers_written_by_hand(side):
    rpyc, consts = side.rpyc, side.rpyc.core.consts
    stream = rpyc.SocketStream.connect("127.0.0.1", side.far(_answer_by_hand))
    conn = rpyc.connect_stream(stream, config={"endpoints": ("here", "there")})  # as a server, which sends nothing first
    raises(rpyc.core.protocol.PingError, conn.ping)
    root, request = conn.root, conn.sync_request
    assert isinstance(root, rpyc.BaseNetref) and root.____id_pack__ == ("builtins.list", 1, 2)
    assert request(consts.HANDLE_GETATTR, root, "x") == (1, 2)
    raises(StopIteration, request, consts.HANDLE_CALL, root)
    label, ((mine, id_pack), (kind, (name, *_))) = request(consts.HANDLE_REPR, root, [1])
    assert (label, mine, kind) == (consts.LABEL_TUPLE, consts.LABEL_LOCAL_REF, consts.LABEL_REMOTE_REF)
    assert (id_pack, name) == (("builtins.list", 1, 2), "builtins.list")
    plain = request(consts.HANDLE_REPR, "text", (5, None))
    boxed = (consts.LABEL_VALUE, "text"), (consts.LABEL_VALUE, (5, None))
    assert plain in ((consts.LABEL_TUPLE, boxed), (consts.LABEL_VALUE, ("text", (5, None))))
    conn.close()


def _echo_frames(side, compress):
    def serve(sock):
        channel = side.rpyc.Channel(side.rpyc.SocketStream(sock), compress=compress)
        while (data := channel.recv()) != b"end":
            channel.send(data)
        channel.close()

    return _serve_one(side, serve)


def channels_by_themselves(side):
    stream = side.rpyc.SocketStream.connect("127.0.0.1", side.far(_echo_frames, True))
    channel = side.rpyc.Channel(stream)
    assert channel.stream is stream and channel.compress and channel.fileno() == stream.fileno() and not channel.closed
    assert not channel.poll(0)
    most = channel.COMPRESSION_THRESHOLD
    for data in (b"", b"small", b"z" * most, b"z" * (most + 1), os.urandom(100_000), b"z" * 1_000_000):
        for channel.compress in (True, False):
            channel.send(data)
            assert channel.poll(10) and channel.recv() == data
    for size in (most, most + 1):
        channel.send(b"z" * size)
        length, compressed = channel.FRAME_HEADER.unpack(stream.read(channel.FRAME_HEADER.size))
        assert bool(compressed) == (size > most)
        data = stream.read(length)
        assert (zlib.decompress(data) if compressed else data) == b"z" * size
        assert stream.read(len(channel.FLUSHER)) == channel.FLUSHER
    assert channel.COMPRESSION_LEVEL == 1
    channel.send(b"end")
    raises(EOFError, channel.recv)
    channel.close()
    assert channel.closed
    plain = _channel(side, side.far(_echo_frames, False))
    plain.send(b"z" * 5000)
    assert plain.FRAME_HEADER.unpack(plain.stream.read(plain.FRAME_HEADER.size)) == (5000, 0)


def _echo_parts(side):
    def serve(sock):
        stream = side.rpyc.SocketStream(sock)
        while True:
            stream.write(stream.read(3))

    return _serve_one(side, serve)


#: Echoes what comes in threes over its standard input and output.
PIPES = """
import importlib, sys
stream = importlib.import_module(sys.argv[1] + ".core.stream").PipeStream.from_std()
try:
    while True:
        stream.write(stream.read(3))
except EOFError:
    pass
"""


def _echo_program(side):
    return [sys.executable, "-c", PIPES, side.name]


def _use(side, stream):
    """Uses a stream that echoes what comes in threes."""
    lib = side.rpyc.lib
    assert not stream.closed and stream.fileno() >= 0 and stream.poll(0) is False
    stream.write(b"ab")
    stream.write(b"cdefg")
    assert stream.poll(lib.Timeout(10)) is True
    assert stream.read(4) == b"abcd" and stream.read(2) == b"ef"
    assert not stream.poll(0.01)
    stream.write(b"hi" + b"x" * 30_000)
    assert stream.read(30_003) == b"ghi" + b"x" * 30_000
    with stream as same:
        assert same is stream
    assert stream.closed
    for use in (lambda: stream.read(1), lambda: stream.write(b"x"), stream.fileno, lambda: stream.poll(0)):
        raises(EOFError, use)
    stream.close()


def streams_by_themselves(side):
    streams = side.rpyc.core.stream
    stream = streams.SocketStream.connect("127.0.0.1", side.far(_echo_parts))
    assert stream.fileno() == stream.sock.fileno()
    _use(side, stream)
    assert stream.sock is streams.ClosedFile
    with subprocess.Popen(side.far(_echo_program), stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        stream = streams.PipeStream(process.stdout, process.stdin)
        assert (stream.incoming, stream.outgoing) == (process.stdout, process.stdin)
        assert stream.fileno() == process.stdout.fileno()
        _use(side, stream)
        process.wait(20)
