"""Servers."""

import logging
import socket
import threading

from ..core.protocol import Connection


class ThreadedServer:
    """A server with a thread for each client.

    :param service: the service class, of which each connection gets an instance, or an instance, which they share
    :param hostname: the address to listen at
    :param port: the port; 0 for a free one
    :param protocol_config: settings for the connections
    :param logger: where to log
    """

    def __init__(self, service, hostname=None, port=0, reuse_addr=True, protocol_config=None, logger=None):
        self.service = service
        self.protocol_config = protocol_config or {}
        self.active = False
        self.clients = set()
        family, kind, proto, _, address = socket.getaddrinfo(hostname, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        self.listener = socket.socket(family, kind, proto)
        if reuse_addr:
            self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind(address)
        self.listener.listen(50)
        self.host, self.port = self.listener.getsockname()[:2]
        self.logger = logger or logging.getLogger(f"{service.get_service_name()}/{self.port}")

    def start(self):
        """Accepts and serves clients until :meth:`close`."""
        self.active = True
        try:
            while self.active:
                sock, _ = self.listener.accept()
                self.clients.add(sock)
                self._accept_method(sock)
        except OSError:
            if self.active:
                raise
        finally:
            self.close()

    def close(self):
        """Stops accepting, and ends the connections of all clients."""
        self.active = False
        for sock in [self.listener] + list(self.clients):
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue  # gone already
        self.listener.close()

    def _start_in_thread(self):
        self.active = True
        thread = threading.Thread(target=self.start, daemon=True)
        thread.start()
        return thread

    def _accept_method(self, sock):
        threading.Thread(target=self._serve_client, args=(sock,), daemon=True).start()

    def _serve_client(self, sock):
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            service = self.service() if isinstance(self.service, type) else self.service
            conn = Connection(service, sock, self.protocol_config)
            service.on_connect(conn)
            conn.serve_all()
        except Exception:
            self.logger.exception("client connection terminated abruptly")
        finally:
            self.clients.discard(sock)
            sock.close()


class OneShotServer(ThreadedServer):
    """A server for one client. Parameters as for :class:`ThreadedServer`."""

    def _accept_method(self, sock):
        try:
            self._serve_client(sock)
        finally:
            self.close()
