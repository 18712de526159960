"""Servers."""

import os
import threading

from netref.utils.pool_server import ThreadPoolServer
from netref.utils.server_base import Server

__all__ = ["ForkingServer", "GeventServer", "OneShotServer", "Server", "ThreadPoolServer", "ThreadedServer"]

#: What a child of a :class:`ForkingServer` ends with, for its parent to count.
_OUTCOMES = {"served": 0, "failed": 1, "rejected": 2}


class ThreadedServer(Server):
    """A server with a thread for each client. Parameters as for :class:`Server`."""

    def _accept_method(self, sock):
        threading.Thread(target=self._serve_on_thread, args=(sock,), daemon=True).start()


class OneShotServer(Server):
    """A server for one client, on the thread that starts it. Parameters as for :class:`Server`."""

    def _accept_method(self, sock):
        try:
            self._authenticate_and_serve_client(sock)
        finally:
            self.close()


class ForkingServer(Server):
    """A server with a process for each client, forked from this one. Parameters as for :class:`Server`.

    Of the children only those that it forked itself are waited for, when it accepts and every ``listener_timeout`` seconds, so
    it does not interfere with what else the program does with processes.
    """

    def __init__(self, *args, **kwargs):
        if not hasattr(os, "fork"):
            raise OSError("ForkingServer not supported on this platform")
        self._children = set()
        super().__init__(*args, **kwargs)
        self._lines.share()

    def accept(self):
        super().accept()
        self._collect_children()

    def _accept_method(self, sock):
        pid = os.fork()
        if pid == 0:
            self._serve_in_child(sock)
        self._children.add(pid)
        self.clients.discard(sock)
        sock.close()

    def _serve_in_child(self, sock):
        """Serves one client and ends the process, without running anything that the parent has planned for its own end."""
        try:
            self.active = False
            self.auto_register = False
            self.listener.close()
            self._children.clear()
            self.clients.clear()
            self._counting = threading.Lock()  # which another thread of the parent may have held
            self._counts.clear()
            self._authenticate_and_serve_client(sock)
        except (KeyboardInterrupt, SystemExit) as error:
            self._log_failure(error)
        except BaseException:
            self._count("failed")
            self.logger.exception("child process terminated abnormally")
        finally:
            os._exit(next((status for name, status in _OUTCOMES.items() if self._counts[name]), 0))

    def _count_clients(self):
        return len(self._children)

    def _collect_children(self):
        for pid in list(self._children):
            try:
                ended, status = os.waitpid(pid, os.WNOHANG)
            except ChildProcessError:
                ended, status = pid, 0  # somebody else waited for it
            if ended:
                self._children.discard(pid)
                code = os.waitstatus_to_exitcode(status)
                self._count(next((name for name, known in _OUTCOMES.items() if known == code), "failed"))


class GeventServer(Server):
    """A server with a greenlet for each client, for programs in which ``gevent.monkey.patch_all()`` was called. Parameters as
    for :class:`Server`."""

    def _accept_method(self, sock):
        import gevent

        gevent.spawn(self._serve_in_greenlet, sock)

    def _serve_in_greenlet(self, sock):
        try:
            self._authenticate_and_serve_client(sock)
        except (KeyboardInterrupt, SystemExit) as error:
            # Out of a greenlet, it would end the program. A peer's ends the serving of that peer.
            if not hasattr(error, "_remote_tb"):
                raise
            self._log_failure(error)
