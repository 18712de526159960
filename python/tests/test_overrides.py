"""Programs that put methods of their own in place of a connection's."""

import netref
from netref.core.stream import SocketStream


class Service(netref.Service):
    def exposed_add(self, a, b):
        return a + b

    def exposed_items(self):
        return [1, 2, 3]


class CountingConnection(netref.Connection):
    """Sees every request that a proxy makes."""

    def __init__(self, *args, **kwargs):
        self.seen = []
        super().__init__(*args, **kwargs)

    def sync_request(self, handler, *args):
        self.seen.append(handler)
        return super().sync_request(handler, *args)


class CountingService(netref.VoidService):
    _protocol = CountingConnection


def test_requests_of_proxies_go_through_an_overridden_sync_request():
    server = netref.ThreadedServer(Service, hostname="127.0.0.1", port=0)
    server._start_in_thread()
    stream = SocketStream.connect("127.0.0.1", server.port)
    try:
        with netref.connect_stream(stream, CountingService) as conn:
            consts = netref.core.consts
            assert conn.root.add(2, 3) == 5
            assert conn.seen == [consts.HANDLE_GETROOT, consts.HANDLE_GETATTR, consts.HANDLE_CALL]
            assert len(conn.root.items()) == 3
            assert conn.seen[-1] == consts.HANDLE_CALLATTR
    finally:
        server.close()
