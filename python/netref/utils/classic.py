"""Classic mode: using another Python as if it were here."""

import pickle

from netref.core.channel import Channel
from netref.core.service import ClassicService, SlaveService
from netref.core.stream import SocketStream
from netref.utils import factory

DEFAULT_SERVER_PORT = 18812
DEFAULT_SERVER_SSL_PORT = 18821


def connect_channel(channel):
    """A classic connection over a channel."""
    return factory.connect_channel(channel, ClassicService)


def connect_stream(stream):
    """A classic connection over a stream."""
    return connect_channel(Channel(stream))


def connect(host, port=DEFAULT_SERVER_PORT, ipv6=False, keepalive=False):
    """Connects to a classic server over TCP. **Either side can run any code in the other.**

    :param host: its name or address
    :param port: its port
    :raises OSError: if there is nobody to connect to
    """
    return connect_stream(SocketStream.connect(host, port, ipv6=ipv6, keepalive=keepalive))


def unix_connect(path):
    """Connects to a classic server over the unix socket at ``path``."""
    return connect_stream(SocketStream.unix_connect(path))


def obtain(proxy):
    """A local copy of a remote object, by pickle, which both sides have to allow."""
    return pickle.loads(pickle.dumps(proxy))


def deliver(conn, localobj):
    """A remote copy of a local object, by pickle, which the other side has to allow.

    :returns: a proxy of the copy
    """
    return conn.modules["rpyc.lib.compat"].pickle.loads(bytes(pickle.dumps(localobj)))


__all__ = [
    "DEFAULT_SERVER_PORT",
    "DEFAULT_SERVER_SSL_PORT",
    "SlaveService",
    "connect",
    "connect_channel",
    "connect_stream",
    "deliver",
    "obtain",
    "unix_connect",
]
