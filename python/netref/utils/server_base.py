"""What all servers share. Programs import it from :mod:`netref.utils.server`."""

import collections
import errno
import logging
import socket
import threading
import time
import weakref

from netref import _netref
from netref.core.channel import Channel
from netref.core.stream import SocketStream, bound_socket
from netref.lib import spawn
from netref.utils.authenticators import AuthenticationError
from netref.utils.vigilance import Handshakes, LineBudget

#: Accepting fails with these when something runs out; the server pauses and goes on.
_SCARCE = frozenset([errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM])
_FIRST_PAUSE = 0.01
_LAST_PAUSE = 1.0


class Server:
    """What all servers share: listening, accepting, authenticating, serving one client.

    :param service: the service class, of which each connection gets an instance, or an instance, which they share
    :param hostname: the address to listen at; empty for all of the machine's
    :param ipv6: whether to listen on IPv6
    :param port: the port; 0 for a free one
    :param backlog: clients that may wait to be accepted
    :param reuse_addr: whether to take a port that was in use a moment ago
    :param authenticator: called with a client's socket; returns (socket, credentials) or raises
        :class:`~netref.utils.authenticators.AuthenticationError`
    :param registrar: a client of the registry to register with, see :mod:`netref.utils.registry`; UDP by default
    :param auto_register: whether to register; by default, if a registrar is given
    :param protocol_config: settings for the connections, see :data:`netref.core.protocol.DEFAULT_CONFIG`; the limits in it that
        are about all clients (``max_connections``, ``handshake_timeout``, ``max_log_rate``) are the server's
    :param logger: where to log; ``<SERVICE>/<port>`` by default
    :param listener_timeout: seconds between looks whether the server was closed; None for no looks
    :param socket_path: a unix socket to listen at, instead of hostname and port. It must not be there yet, and stays there when
        the server is closed, as in RPyC.
    """

    def __init__(
        self,
        service,
        hostname=None,
        ipv6=False,
        port=0,
        backlog=socket.SOMAXCONN,
        reuse_addr=True,
        authenticator=None,
        registrar=None,
        auto_register=None,
        protocol_config=None,
        logger=None,
        listener_timeout=0.5,
        socket_path=None,
    ):
        self.active = False
        self._closed = False
        self._graceful_end = None  # a threading.Event, once it has begun
        self.service = service
        self.authenticator = authenticator
        self.backlog = backlog
        self.auto_register = bool(registrar) if auto_register is None else auto_register
        self.protocol_config = {} if protocol_config is None else protocol_config
        self._registrar = registrar
        self.clients = set()
        if socket_path is not None:
            if hostname is not None or port != 0 or ipv6:
                raise ValueError("socket_path is mutually exclusive with: hostname, port, ipv6")
            self.listener = bound_socket(socket_path, socket.AF_UNIX)
            self.host, self.port = "", socket_path
        else:
            self.listener = bound_socket((hostname, port), socket.AF_INET6 if ipv6 else socket.AF_INET, reuse_addr=reuse_addr)
            self.host, self.port = self.listener.getsockname()[:2]
        self.listener.settimeout(listener_timeout)
        self.logger = logger or logging.getLogger(f"{self.service.get_service_name()}/{self.port}")
        if "logger" not in self.protocol_config:
            self.protocol_config["logger"] = self.logger
        self._pause = _FIRST_PAUSE
        limits = _netref.limits(self.protocol_config)
        self._max_clients = limits["max_connections"]
        self._room = _netref.Room()
        self._handshakes = Handshakes(limits["handshake_timeout"])
        self._lines = LineBudget(limits["max_log_rate"])
        self._connections = weakref.WeakSet()
        self._counts = collections.Counter()
        self._counting = threading.Lock()

    @property
    def registrar(self):
        """The client of the registry."""
        if self._registrar is None:
            from netref.utils.registry import UDPRegistryClient

            self._registrar = UDPRegistryClient(logger=self.logger)
        return self._registrar

    @registrar.setter
    def registrar(self, registrar):
        self._registrar = registrar

    def fileno(self):
        """The file descriptor of the listening socket."""
        return self.listener.fileno()

    def start(self):
        """Accepts and serves clients until :meth:`close`, on the calling thread. With a grace, returns when that is over: the
        program may end then."""
        self._listen()
        self._register()
        try:
            self._accept_all()
        except EOFError:
            pass  # closed by another thread
        except OSError:
            if self.active:
                raise
            # An accept of a subclass's own has noticed that the server was closed.
        except KeyboardInterrupt:
            self.logger.warning("keyboard interrupt!")
        finally:
            self.logger.info("server has terminated")
            self.close()
            if self._graceful_end is not None:
                self._graceful_end.wait()

    def _accept_all(self):
        # Not inside of the `try`: Python 3.13 compiles the jump back of a loop to be outside of it, where Ctrl-C may come.
        while self.active:
            self.accept()

    def _listen(self):
        """Makes the socket listen, so that clients can connect even before :meth:`start` accepts them."""
        if self.active:
            return
        self.listener.listen(self.backlog)
        self.logger.info("server started on [%s]:%s", self.host, self.port)
        self.active = True

    def _register(self):
        """Has the server registered, if it is to be, on a thread of its own."""
        if self.auto_register:
            from netref.utils.registry import keep_registered

            spawn(keep_registered, self, self.registrar)

    def _start_in_thread(self):
        """Starts the server on a daemon thread, and returns once clients can connect."""
        self._listen()
        return spawn(self.start)

    def close(self, grace=0):
        """Stops accepting, and closes the connections of all clients.

        :param grace: seconds that requests under way may take to be answered, None for however long. New ones are refused
            meanwhile, with a ``RuntimeError`` that says so. Called by a request of a client with a grace that is not 0, this
            returns at once, so that the request is answered too.
        """
        if self._closed:
            return
        self._closed = True
        if grace != 0:
            self._graceful_end = threading.Event()
        self._stop_listening()
        if grace == 0:
            self._close_clients()
        elif _netref.is_serving():
            spawn(self._close_gracefully, grace)
        else:
            self._close_gracefully(grace)

    def _stop_listening(self):
        self.active = False
        if self.auto_register:
            self._unregister()
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # not listening yet
        self.listener.close()
        self.logger.info("listener closed")

    def _close_gracefully(self, grace):
        try:
            self._drain_clients(grace)
            self._close_clients()
        finally:
            self._graceful_end.set()

    def _drain_clients(self, grace):
        deadline = None if grace is None else time.monotonic() + grace
        connections = list(self._connections)
        for conn in connections:
            if not conn.closed:
                conn._drain(0)  # all of them refuse before the first is waited for
        for conn in connections:
            if not conn.closed:
                conn._drain(None if deadline is None else max(0, deadline - time.monotonic()))

    def _close_clients(self):
        """Closes the connections of all clients."""
        for client in set(self.clients):
            try:
                client.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # gone already
            client.close()
        self.clients.clear()

    def stats(self):
        """What the server has done so far: a dictionary of counters.

        ``accepted``: clients that connected; ``refused``: those hung up on for ``max_connections``; ``rejected``: those that the
        authenticator refused; ``failed``: those lost before they were served, for a handshake that failed or took too long, or
        an error of this side; ``served``: those whose connection has ended; ``accept_errors``: failures to accept;
        ``clients``: those that are there now.
        """
        with self._counting:
            counts = dict(self._counts)
        names = ("accepted", "refused", "rejected", "failed", "served", "accept_errors")
        return {name: counts.get(name, 0) for name in names} | {"clients": self._count_clients()}

    def _count(self, name):
        with self._counting:
            self._counts[name] += 1

    def _count_clients(self):
        return len(self.clients)

    def _log(self, level, text, *args, **kwargs):
        """Logs a line about a client, unless there have been too many already."""
        self._lines.log(self.logger, level, text, *args, **kwargs)

    def _unregister(self):
        try:
            self.registrar.unregister(self.port)
        except Exception:
            self.logger.exception("error unregistering services")

    def accept(self):
        """Waits for a client and has it served by :meth:`_accept_method`. Running out of file descriptors, memory or threads
        does not end the server: it pauses, and goes on.

        :raises EOFError: if the server was closed
        """
        sock = None
        try:
            sock, address = self.listener.accept()
        except TimeoutError:
            return
        except OSError as error:
            if not self.active or self.listener.fileno() < 0:
                raise EOFError("the server was closed") from error
            self._count("accept_errors")
            if error.errno in _SCARCE:
                self._wait_for_better_times(error)
            return
        except MemoryError as error:
            self._wait_for_better_times(error)
            return
        self._count("accepted")
        others = self._count_clients()
        if self._max_clients is not None and others >= self._max_clients:
            self._count("refused")
            sock.close()
            self._log(logging.WARNING, "hung up on %r: %d clients are there (limit max_connections)", address, self._max_clients)
            return
        self.clients.add(sock)
        try:
            sock.setblocking(True)
            self._room.check_one_more(others)
            self._accept_method(sock)
            self._pause = _FIRST_PAUSE
        except (OSError, RuntimeError, MemoryError) as error:  # no process or thread can be started
            self._count("failed")
            self.clients.discard(sock)
            sock.close()
            self._wait_for_better_times(error)

    def _wait_for_better_times(self, error):
        self._log(logging.WARNING, "cannot accept clients: %s; trying again in %s s", error, self._pause)
        time.sleep(self._pause)
        self._pause = min(self._pause * 2, _LAST_PAUSE)

    def _accept_method(self, sock):
        """Has a client served: where servers differ."""
        raise NotImplementedError

    def _serve_on_thread(self, sock):
        """Serves a client on a thread of its own, which ends with it."""
        try:
            self._authenticate_and_serve_client(sock)
        except (KeyboardInterrupt, SystemExit) as error:
            # Raised by a request, to end the serving of its client. That has happened.
            self._log_failure(error)

    def _authenticate_and_serve_client(self, sock):
        """Serves a client from its first byte to its last."""
        try:
            original = sock
            sock, credentials = self._authenticate(sock)
            self.clients.discard(original)
            self.clients.add(sock)
            self._serve_client(sock, credentials)
        except Exception as error:
            self._log_failure(error)
        finally:
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # gone already
            sock.close()
            self.clients.discard(sock)

    def _authenticate(self, sock):
        """The socket to go on with, and the client's credentials."""
        if not self.authenticator:
            return sock, None
        address = _peer_of(sock)
        try:
            with self._handshakes.bounded(sock):
                return self.authenticator(sock)
        except Exception as error:
            error._client = address  # which the socket may know no more
            raise

    def _log_failure(self, error):
        """Logs why a client was lost, and counts it if it was not served."""
        who = getattr(error, "_client", None) or "a client"
        was_served = getattr(error, "_was_served", False)
        if not was_served:
            self._count("rejected" if isinstance(error, AuthenticationError) else "failed")
        if isinstance(error, AuthenticationError):
            self._log(logging.INFO, "%s failed to authenticate, rejecting connection: %s", who, ascii(str(error)[:200]))
        elif isinstance(error, (OSError, EOFError, KeyboardInterrupt, SystemExit)) or hasattr(error, "_remote_tb"):
            # What a client does to its own connection, or raises in it, is worth no traceback, and no second line.
            if not was_served:
                self._log(logging.INFO, "%s was lost: %s: %s", who, type(error).__name__[:50], ascii(str(error)[:200]))
        else:
            self._log(logging.ERROR, "client connection terminated abruptly", exc_info=error)

    def _serve_client(self, sock, credentials):
        """Makes the connection with a client and serves it."""
        address = sock.getpeername()
        conn = self._connect_to_client(sock, credentials)
        try:
            self._handle_connection(conn)
        except BaseException as error:
            error._was_served = True  # the client, who is counted and has its line
            raise
        finally:
            self._log_served(conn, address)

    def _log_served(self, conn, address):
        """Logs a connection that has ended: the one line about it."""
        self._count("served")
        if not self.logger.isEnabledFor(logging.INFO):
            return
        credentials = conn._config["credentials"]
        who = f"{address!r} ({credentials!r})" if credentials else f"{address!r}"
        seconds = time.monotonic() - conn._began
        requests = conn.stats()["requests_served"]
        self._log(logging.INFO, "served %s for %.3f s, %d requests; %s", who, seconds, requests, conn._end_reason)

    def _connect_to_client(self, sock, credentials, **settings):
        """The connection with a client that has been let in."""
        if sock.family != getattr(socket, "AF_UNIX", None):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        endpoints = (sock.getsockname(), sock.getpeername())
        config = dict(self.protocol_config, credentials=credentials, endpoints=endpoints, logger=self.logger, **settings)
        conn = self.service._connect(Channel(SocketStream(sock)), config)
        self._connections.add(conn)
        return conn

    def _handle_connection(self, conn):
        """Serves a connection until it ends."""
        conn.serve_all()


def _peer_of(sock):
    """The address of a client, or None if it is gone."""
    try:
        return sock.getpeername()
    except OSError:
        return None
