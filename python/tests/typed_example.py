"""A program with types, which has to satisfy ``mypy --strict``. It is checked, and never run."""

import netref
from netref import aio, classic
from netref.utils.authenticators import AuthenticationError
from netref.utils.server import ThreadedServer


@netref.service
class Calculator(netref.Service):
    def __init__(self, start: int = 0) -> None:
        self.total = start

    def on_connect(self, conn: netref.Connection) -> None:
        print(conn.fileno(), conn.closed)

    def exposed_add(self, number: int) -> int:
        self.total += number
        return self.total

    @netref.exposed
    def reset(self) -> None:
        self.total = 0


def serve() -> None:
    server = ThreadedServer(Calculator, hostname="localhost", port=0, protocol_config={"allow_public_attrs": True})
    server.start()
    server.close()


def use(port: int) -> int:
    with netref.connect("localhost", port, config={"sync_request_timeout": 5}) as conn:
        total: int = conn.root.add(5)
        result = netref.async_(conn.root.add)(6)
        result.add_callback(lambda finished: print(finished.value))
        result.set_expiry(1.5)
        result.wait()
        if result.ready and not result.error:
            total = result.value
        for item in netref.buffiter(conn.root.items(), chunk=100):
            total += item
        conn.ping(timeout=1)
        print(conn.stats()["round_trips"])
    return total


class Later(netref.Service):
    async def exposed_double(self, number: int) -> int:
        return 2 * number


async def use_in_coroutines(port: int) -> int:
    async with aio.serve(Later, hostname="localhost") as server, aio.connect("localhost", server.port) as conn:
        total: int = await conn.root.double(1)
        total += await conn.root.number
        async for item in await conn.root.items():
            total += item
        async for item in aio.buffiter(conn.root, chunk=100):
            total += item
        total += await netref.async_(conn.sync.root.double)(2)
    other = await aio.connect("localhost", port, config={"sync_request_timeout": 5}, keepalive=True)
    await other.close()
    return total


def remote_control(host: str) -> str:
    conn = classic.connect(host)
    conn.execute("x = 1")
    version: str = conn.modules.sys.version
    copied: list[int] = classic.obtain(conn.builtins.list((1, 2)))
    return version + str(copied)


def handle(error: netref.GenericException | AuthenticationError | netref.AsyncResultTimeout) -> str:
    return str(error)
