"""A peer that means harm, over a raw socket: it can send anything, and reads what comes back as frames."""

import contextlib
import socket
import struct
import threading
import zlib

from netref.core import brine, consts

REQUEST, REPLY, EXCEPTION = consts.MSG_REQUEST, consts.MSG_REPLY, consts.MSG_EXCEPTION
VALUE, TUPLE, YOURS, MINE = consts.LABEL_VALUE, consts.LABEL_TUPLE, consts.LABEL_LOCAL_REF, consts.LABEL_REMOTE_REF
#: Seconds that an answer may take. No measure of speed: a server that is alive and owes one answers long before that.
PATIENCE = 15


def frame(payload, flag=0, end=b"\n"):
    return struct.pack("!LB", len(payload), flag) + payload + end


def compressed(payload):
    return frame(zlib.compress(payload, 9), flag=1)


def brine_tuple(*items):
    """A brine tuple of items that are brine already."""
    head = bytes([0x0F + len(items)]) if 1 <= len(items) <= 4 else b"\x15" + struct.pack("!L", len(items))
    return head + b"".join(items)


def message(kind, seq, body):
    """A payload whose body is brine already."""
    return bytes([kind]) + brine_tuple(brine.dump(seq), body)


def by_value(value):
    return brine.dump((VALUE, value))


def of_server(pack):
    """A box for an object that the server has lent."""
    return brine.dump((YOURS, tuple(pack)))


def of_peer(pack):
    """A box for an object that the hostile peer lends."""
    return brine.dump((MINE, tuple(pack)))


def boxed_tuple(*boxes):
    return brine_tuple(brine.dump(TUPLE), brine_tuple(*boxes) if boxes else b"\x02")


def request(seq, handler, *boxes):
    return message(REQUEST, seq, brine_tuple(brine.dump(handler), boxed_tuple(*boxes)))


class Refused(Exception):
    """The server answered with an exception: its class, and its text."""

    def __init__(self, name, text):
        super().__init__(name, text)
        self.name = name
        self.text = text


class Hostile:
    """A connection of the hostile peer's."""

    def __init__(self, port, receive_buffer=None, host="127.0.0.1"):
        self.sock = socket.socket()
        if receive_buffer is not None:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.sock.settimeout(PATIENCE)
        self.sock.connect((host, port))
        self._seq = 100
        self._buffer = b""

    @classmethod
    def over(cls, sock):
        """The same over a socket that was accepted."""
        peer = cls.__new__(cls)
        peer.sock, peer._seq, peer._buffer = sock, 100, b""
        sock.settimeout(PATIENCE)
        return peer

    def __enter__(self):
        return self

    def __exit__(self, *exc_info):
        self.close()

    def close(self):
        self.sock.close()

    def send(self, *payloads):
        self.send_raw(b"".join(map(frame, payloads)))

    def send_raw(self, data):
        self.sock.sendall(data)

    def receive(self):
        """The next message: (kind, seq, body)."""
        while True:
            size, flag = struct.unpack("!LB", self._read(5))
            payload = self._read(size + 1)[:-1]
            if payload:
                break
        if flag:
            payload = zlib.decompress(payload)
        seq, body = brine.load(payload[1:])
        return payload[0], seq, body

    def ask(self, handler, *boxes):
        """The answer to a request: the value, or the id pack of an object that the server lends."""
        self._seq += 1
        self.send(request(self._seq, handler, *boxes))
        return self.answer_to(self._seq)

    def answer_to(self, wanted):
        """Waits for the answer to a request, and refuses what the server asks in the meantime."""
        while True:
            kind, seq, body = self.receive()
            if kind == REQUEST:
                self.send(message(REPLY, seq, by_value(None)))
            elif seq == wanted:
                return self._outcome(kind, body)

    @staticmethod
    def _outcome(kind, body):
        if kind == EXCEPTION:
            if body == consts.EXC_STOP_ITERATION:
                raise Refused("StopIteration", "")
            (_, name), args, *_ = body
            raise Refused(name, " ".join(map(str, args)))
        return body[1]

    def root(self):
        return self.ask(consts.HANDLE_GETROOT)

    def getattr(self, pack, name):
        return self.ask(consts.HANDLE_GETATTR, of_server(pack), by_value(name))

    def inspect(self, pack):
        """The methods that the server lists of an object: pairs (name, docstring)."""
        self._seq += 1
        self.send(message(REQUEST, self._seq, brine.dump((consts.HANDLE_INSPECT, (VALUE, (tuple(pack),))))))
        return self.answer_to(self._seq)

    def call(self, pack, *boxes):
        return self.ask(consts.HANDLE_CALL, of_server(pack), boxed_tuple(*boxes), by_value(()))

    def method(self, pack, name, *boxes):
        return self.ask(consts.HANDLE_CALLATTR, of_server(pack), by_value(name), boxed_tuple(*boxes), by_value(()))

    def ping(self):
        assert self.ask(consts.HANDLE_PING, by_value("still there?")) in ("still there?", ("still there?",))

    def wait_for_the_end(self, timeout=PATIENCE):
        """Reads until the server hangs up."""
        self.sock.settimeout(timeout)
        with contextlib.suppress(ConnectionError):
            while self.sock.recv(65536):
                pass

    def _read(self, count):
        while len(self._buffer) < count:
            data = self.sock.recv(max(65536, count - len(self._buffer)))
            if not data:
                raise EOFError("the server hung up")
            self._buffer += data
        data, self._buffer = self._buffer[:count], self._buffer[count:]
        return data


def is_hung_up_on(peer):
    """Without reading anything: what cannot be sent to says so."""
    try:
        peer.send(message(REPLY, 10**6, by_value("of no call's")))
    except OSError:
        return True
    return False


@contextlib.contextmanager
def hostile_server(behave):
    """A server that does `behave(peer)` to each of its clients, on a thread; its port."""
    listener = socket.create_server(("127.0.0.1", 0))
    accepted = []

    def serve(sock):
        with contextlib.suppress(OSError, EOFError):
            behave(Hostile.over(sock))

    def accept():
        with contextlib.suppress(OSError):
            while True:
                sock, _ = listener.accept()
                accepted.append(sock)
                threading.Thread(target=serve, args=(sock,), daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        for sock in accepted:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()
        thread.join(10)
