"""Ways to connect."""

from netref.core.channel import Channel
from netref.core.service import VoidService
from netref.core.stream import SocketStream

__all__ = ["connect", "connect_channel", "connect_stream", "unix_connect"]


def connect_channel(channel, service=VoidService, config={}):  # noqa: B006
    """A connection over a channel.

    :param service: what the peer gets
    :param config: settings, see :data:`netref.core.protocol.DEFAULT_CONFIG`
    """
    return service._connect(channel, config)


def connect_stream(stream, service=VoidService, config={}):  # noqa: B006
    """A connection over a stream. Parameters as for :func:`connect_channel`."""
    return connect_channel(Channel(stream), service=service, config=config)


def connect(host, port, service=VoidService, config={}, ipv6=False, keepalive=False):  # noqa: B006
    """Connects to a server over TCP.

    :param host: its name or address
    :param port: its port
    :param service: what the server gets from this side
    :param config: settings, see :data:`netref.core.protocol.DEFAULT_CONFIG`
    :param ipv6: whether to use IPv6
    :param keepalive: whether TCP shall ask now and then whether the server is there
    :raises OSError: if there is nobody to connect to
    """
    return connect_stream(SocketStream.connect(host, port, ipv6=ipv6, keepalive=keepalive), service, config)


def unix_connect(path, service=VoidService, config={}):  # noqa: B006
    """Connects to a server over the unix socket at ``path``. Parameters as for :func:`connect`."""
    return connect_stream(SocketStream.unix_connect(path), service, config)
