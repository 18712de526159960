"""Stands between clients and the server, and does to connections what networks do: ``proxy.py SERVER_PORT``.

Prints its port. Then each line of its input is a fault for one connection, chosen at random: ``reset``, ``half-close``,
``stall 1.5`` (nothing passes for so long), ``trickle 1.5`` (little does, as with a slow reader), ``delay 0.02`` (everything is
late from now on).
"""

import asyncio
import random
import socket
import struct
import sys
import threading

TRICKLE = 512  # bytes every 10 ms


class Passage:
    """One connection, both ways."""

    def __init__(self, client, server):
        self.writers = [client, server]
        self.delay = 0.0
        self.trickles = False
        self.passes = asyncio.Event()
        self.passes.set()

    async def forward(self, reader, writer):
        try:
            while data := await reader.read(1 << 16):
                await self.passes.wait()
                if self.delay:
                    await asyncio.sleep(self.delay)
                while self.trickles and data:
                    writer.write(data[:TRICKLE])
                    data = data[TRICKLE:]
                    await writer.drain()
                    await asyncio.sleep(0.01)
                writer.write(data)
                await writer.drain()
            if writer.can_write_eof():
                writer.write_eof()
        except (OSError, RuntimeError):
            pass  # one side is gone; the other shall hear of it
            self.reset()

    async def suffer(self, fault, seconds=0.0):
        if fault == "reset":
            self.reset()
        elif fault == "half-close":
            writer = random.choice(self.writers)
            try:
                writer.write_eof()
            except (OSError, RuntimeError):
                pass  # closed meanwhile
        elif fault == "stall":
            self.passes.clear()
            await asyncio.sleep(seconds)
            self.passes.set()
        elif fault == "trickle":
            self.trickles = True
            await asyncio.sleep(seconds)
            self.trickles = False
        elif fault == "delay":
            self.delay = seconds
        else:
            raise ValueError(fault)

    def reset(self):
        for writer in self.writers:
            sock = writer.get_extra_info("socket")
            try:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            except OSError:
                pass  # closed already
            writer.transport.abort()


async def main(server_port):
    passages = []
    faults = set()

    async def accept(reader, writer):
        try:
            server_reader, server_writer = await asyncio.open_connection("127.0.0.1", server_port)
        except OSError:
            writer.transport.abort()
            return
        passage = Passage(writer, server_writer)
        passages.append(passage)
        await asyncio.gather(passage.forward(reader, server_writer), passage.forward(server_reader, writer))
        passages.remove(passage)
        for each in passage.writers:
            each.close()

    def inflict(line):
        fault, *seconds = line.split()
        if passages:
            task = asyncio.ensure_future(random.choice(passages).suffer(fault, *map(float, seconds)))
            faults.add(task)
            task.add_done_callback(faults.discard)

    loop = asyncio.get_running_loop()
    listener = await asyncio.start_server(accept, "127.0.0.1", 0)
    print(listener.sockets[0].getsockname()[1], flush=True)
    ended = asyncio.Event()

    def listen_to_commands():
        for line in sys.stdin:
            loop.call_soon_threadsafe(inflict, line)
        loop.call_soon_threadsafe(ended.set)

    threading.Thread(target=listen_to_commands, daemon=True).start()
    await ended.wait()
    for passage in passages:
        passage.reset()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
