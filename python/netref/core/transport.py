"""What a connection runs over, decided when it is made.

Where this side's interpreter need not be asked, the native driver reads and writes by itself: plain sockets, pipes, and TLS
sockets by way of :mod:`ssl`. Everything else is a stream whose methods are called: streams of a program's own, streams that
were patched, sockets of other kinds.
"""

import operator
import socket
import sys

from netref.core.channel import Channel
from netref.core.stream import PipeStream, SocketStream, Stream, TunneledSocketStream

#: The methods of a class that would have to be called if a program had changed them.
_pipe_methods = operator.attrgetter("close", "fileno", "poll", "read", "write")
_socket_methods = operator.attrgetter("fileno", "poll", "read", "write")
_channel_methods = operator.attrgetter("close", "fileno", "poll", "recv", "send")


def transport_of(channel):
    """What ``_netref.Connection._start`` is to open.

    :param channel: the channel that the program has made
    :returns: a tuple that begins with the kind of the transport, and whether it is for the driver to compress
    :raises EOFError: if the channel's stream is closed
    """
    if _is_changed(channel, _channel_methods, _OF_CHANNEL):
        return ("stream", ChannelStream(channel)), False
    return _over_stream(channel.stream), bool(channel.compress)


def _over_stream(stream):
    if type(stream) in (SocketStream, TunneledSocketStream) and not _is_changed(stream, _socket_methods, _OF_SOCKET):
        return _over_socket(stream)
    if type(stream) is PipeStream and not _is_changed(stream, _pipe_methods, _OF_PIPE):
        return _over_pipes(stream)
    return "stream", stream


def _over_socket(stream):
    sock = stream.sock
    if stream.closed:
        raise EOFError("stream has been closed")
    ssl = sys.modules.get("ssl")
    if "gevent.socket" in sys.modules:
        from netref.core import green

        if green.is_green(sock):
            return "green", stream.fileno(), green.Hub()
    if type(sock) is _SOCKET:
        sock.settimeout(None)
        return "socket", stream.fileno()
    if ssl is not None and isinstance(sock, ssl.SSLSocket):
        return "tls", stream.fileno(), sock
    return "stream", stream


def _over_pipes(stream):
    try:
        return "pipes", stream.incoming.fileno(), stream.outgoing.fileno()
    except (AttributeError, OSError):
        return "stream", stream  # nothing that the system knows of


class ChannelStream(Stream):
    """The bytes that a channel would have sent and received: for channels that do something of their own to each frame."""

    __slots__ = ("_channel", "_incoming", "_outgoing")

    def __init__(self, channel):
        self._channel = channel
        self._incoming = b""
        self._outgoing = bytearray()

    def close(self):
        self._channel.close()

    @property
    def closed(self):
        return self._channel.closed

    def fileno(self):
        return self._channel.fileno()

    def poll(self, timeout):
        return bool(self._incoming) or self._channel.poll(timeout)

    def read(self, count):
        while len(self._incoming) < count:
            payload = self._received(self._channel.recv())
            self._incoming += Channel.FRAME_HEADER.pack(len(payload), 0) + payload + Channel.FLUSHER
        data, self._incoming = self._incoming[:count], self._incoming[count:]
        return data

    def write(self, data):
        self._outgoing += data
        header = Channel.FRAME_HEADER
        while len(self._outgoing) >= header.size:
            length, _ = header.unpack_from(self._outgoing)
            end = header.size + length
            if len(self._outgoing) <= end:
                return
            payload = bytes(self._outgoing[header.size : end])
            del self._outgoing[: end + len(Channel.FLUSHER)]
            self._channel.send(self._to_send(payload))

    def _received(self, payload):
        return payload

    def _to_send(self, payload):
        return payload


def _is_changed(obj, methods, as_defined):
    """Whether a method of ``obj`` is another than the one that netref's class was defined with."""
    try:
        return methods(type(obj)) != as_defined
    except AttributeError:
        return True


# As they are when this module is imported, along with the classes.
_SOCKET = socket.socket
_OF_PIPE = _pipe_methods(PipeStream)
_OF_SOCKET = _socket_methods(SocketStream)
_OF_CHANNEL = _channel_methods(Channel)
