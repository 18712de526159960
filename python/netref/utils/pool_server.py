"""A server with a fixed number of threads. Programs import it from :mod:`netref.utils.server`."""

import collections
import queue
import selectors
import socket
import threading
import time

from netref.lib import spawn
from netref.utils.server_base import Server

#: Seconds that a worker waits for its turn to read where another thread, which waits for the client, is reading already.
_TURN = 0.05
#: Seconds that closing waits for workers to finish what they are at.
_PATIENCE = 1.0


class ThreadPoolServer(Server):
    """A server whose requests run on a fixed number of threads; clients that are idle cost none.

    One thread watches the clients and hands those that have sent something to the workers. A worker serves a client for up to
    ``requestBatchSize`` requests before others have their turn. A request runs to its end before the client's next one, unless
    it is part of it. Letting clients in is not the workers' business: a slow handshake holds nobody up.

    :param nbThreads: how many workers
    :param requestBatchSize: how many requests of a client in a row

    Other parameters as for :class:`Server`.
    """

    def __init__(self, *args, nbThreads=20, requestBatchSize=10, **kwargs):
        self.nbthreads = nbThreads
        self.request_batch_size = requestBatchSize
        super().__init__(*args, **kwargs)
        self.fd_to_conn = {}
        self.workers = []
        self.polling_thread = None
        self._ready = queue.SimpleQueue()
        # A descriptor is closed with its connection and can be another client's before the first is dropped.
        self._held = {}
        self._holding = threading.Lock()
        # When clients that are watched have to send something more.
        self._deadlines = {}
        self._idle = collections.deque()
        self._waker, self._wakened = socket.socketpair()

    def _listen(self):
        if self.active:
            return
        super()._listen()
        self.workers = [spawn(self._serve_clients) for _ in range(self.nbthreads)]
        self.polling_thread = spawn(self._poll_inactive_clients)

    def _close_clients(self):
        """Closes the connections of all clients, and ends the workers as soon as they have nothing to do."""
        super()._close_clients()
        for fd, conn in list(self.fd_to_conn.items()):
            self._drop_connection(fd, conn)
        for _ in self.workers:
            self._ready.put(None)
        self._watch_again(None)
        deadline = time.monotonic() + _PATIENCE
        for thread in filter(None, [self.polling_thread, *self.workers]):
            if thread is not threading.current_thread():
                thread.join(max(0, deadline - time.monotonic()))

    # Letting clients in: a thread each.

    def _accept_method(self, sock):
        spawn(self._let_in, sock)

    def _let_in(self, sock):
        try:
            sock, conn = self._authenticate_and_build_connection(sock)
        except BaseException as error:  # the thread ends either way
            self._log_failure(error)
        else:
            fd = conn.fileno()
            with self._holding:
                self.fd_to_conn[fd] = conn
                self._held[conn] = sock
            if self._closed:
                self._drop_connection(fd, conn)
            else:
                self._watch_again(fd)
            return
        self.clients.discard(sock)
        sock.close()

    def _authenticate_and_build_connection(self, sock):
        """Lets a client in. Returns the socket that it is served over, and the connection."""
        original = sock
        sock, credentials = self._authenticate(sock)
        self.clients.discard(original)
        self.clients.add(sock)
        # Only the workers read: what a client sends while nobody waits for it must wake the thread that watches.
        conn = self._connect_to_client(sock, credentials, connid=str(sock.getpeername()), serve="workers")
        return sock, conn

    # Watching: one thread.

    def _watch_again(self, fd):
        """Has the clients that sit idle watched, this one among them. None ends the watching."""
        self._idle.append(fd)
        try:
            self._waker.send(b"\0")
        except OSError:
            pass  # closed: nobody watches any more

    def _poll_inactive_clients(self):
        with selectors.DefaultSelector() as selector, self._waker, self._wakened:
            selector.register(self._wakened, selectors.EVENT_READ)
            while True:
                for key, _ in selector.select(self._patience()):
                    if key.fileobj is self._wakened:
                        self._wakened.recv(4096)
                    else:
                        selector.unregister(key.fileobj)
                        self._deadlines.pop(key.fd, None)
                        self._ready.put(key.fd)
                self._end_overdue(selector)
                while self._idle:
                    fd = self._idle.popleft()
                    if fd is None:
                        return
                    self._watch(selector, fd)

    def _patience(self):
        """Seconds until the first client has to send something more; None if there is none that has to."""
        return max(0, min(self._deadlines.values()) - time.monotonic()) if self._deadlines else None

    def _end_overdue(self, selector):
        now = time.monotonic()
        for fd in [fd for fd, deadline in self._deadlines.items() if deadline <= now]:
            del self._deadlines[fd]
            selector.unregister(fd)
            self._end(fd)

    def _end(self, fd):
        conn = self.fd_to_conn.get(fd)
        if conn is not None:
            conn._expire()
            self._drop_connection(fd, conn)

    def _watch(self, selector, fd):
        conn = self.fd_to_conn.get(fd)
        if conn is None:
            return
        due = conn._due()
        if due is not None:
            self._deadlines[fd] = time.monotonic() + due
        try:
            if fd in selector.get_map():
                selector.unregister(fd)  # of a client before, whose connection was closed from this side
            selector.register(fd, selectors.EVENT_READ)
        except (OSError, ValueError):
            self._deadlines.pop(fd, None)
            self._drop_connection(fd, conn)

    # Serving: the workers.

    def _serve_clients(self):
        while (fd := self._ready.get()) is not None:
            self._serve_client_at(fd)

    def _serve_client_at(self, fd):
        """Serves a client that has sent something."""
        conn = self.fd_to_conn.get(fd)
        if conn is None:
            return
        try:
            self._serve_requests(fd, conn)
        except EOFError:
            self._drop_connection(fd, conn)
        except BaseException as error:
            # Among them what a request raises that is to end the serving of its client: not this thread's.
            error._was_served = True
            self._log_failure(error)
            self._drop_connection(fd, conn)

    def _serve_requests(self, fd, conn):
        timeout = _TURN
        for _ in range(self.request_batch_size):
            if not conn._serve_ready(timeout):
                self._watch_again(fd)
                return
            timeout = 0
        self._ready.put(fd)

    def _drop_connection(self, fd, conn):
        with self._holding:
            sock = self._held.pop(conn, None)
            if sock is None:
                return
            if self.fd_to_conn.get(fd) is conn:
                del self.fd_to_conn[fd]
        self.clients.discard(sock)
        conn.close()
        self._log_served(conn, conn._config["connid"])
