"""Records what two stock peers say to each other.

    python record.py PYTHON_WITH_STOCK_RPYC [ANOTHER ...] [--only SCENARIO ...]

A real stock server and a real stock client run in processes of their own; between them, on loopback TCP, stands a
proxy that knows frame boundaries and nothing else. See README.md for the files written.
"""

import argparse
import ctypes
import json
import os
import pathlib
import socket
import struct
import subprocess
import threading
import zlib

HERE = pathlib.Path(__file__).resolve().parent
ADDR_NO_RANDOMIZE = 0x0040000


def fixed_addresses():
    """Ids are addresses; without address randomisation most of them repeat from one recording to the next."""
    try:
        ctypes.CDLL(None).personality(ADDR_NO_RANDOMIZE)
    except (OSError, AttributeError):
        pass


class Peers:
    """One interpreter with stock rpyc in it."""

    def __init__(self, python):
        self.python = python
        info = json.loads(self.ask("list"))
        self.stock, self.scenarios = info["stock"], dict(info["scenarios"])
        self.dialect = "v6" if int(self.stock.split(".")[0]) >= 6 else "v5"

    def start(self, *args):
        env = {"PYTHONHASHSEED": "0", "PYTHONPATH": str(HERE), "PATH": os.environ.get("PATH", "")}
        # -OO: no docstrings of library code in INSPECT replies
        return subprocess.Popen(
            [self.python, "-OO", "-B", "-c", "import peers, sys; peers.main(sys.argv[1:])", *args],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=env,
            text=True,
            cwd=HERE,
            preexec_fn=fixed_addresses,
        )

    def ask(self, *args, text=""):
        process = self.start(*args)
        out, _ = process.communicate(text, timeout=90)
        if process.returncode:
            raise SystemExit(f"{self.python} {' '.join(args)} ended with status {process.returncode}")
        return out

    def serve(self, *args):
        process = self.start(*args)
        return process, int(process.stdout.readline())


# ---------------------------------------------------------------- the proxy


def read_exactly(sock, count):
    data = b""
    while len(data) < count:
        part = sock.recv(count - len(data))
        if not part:
            if data:
                raise EOFError("the stream ended inside a frame")
            return None
        data += part
    return data


def read_frame(sock):
    header = read_exactly(sock, 5)
    if header is None:
        return None
    return header + read_exactly(sock, struct.unpack("!IB", header)[0] + 1)


class Proxy:
    def __init__(self, port):
        self.port = port
        self.frames = []
        self.lock = threading.Lock()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        client, _ = self.listener.accept()
        server = socket.create_connection(("127.0.0.1", self.port))
        for sock in (client, server):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        back = threading.Thread(target=self.pump, args=("server", server, client), daemon=True)
        back.start()
        self.pump("client", client, server)
        back.join(5)

    def pump(self, side, source, target):
        try:
            while (frame := read_frame(source)) is not None:
                with self.lock:
                    self.frames.append((side, frame.hex()))
                target.sendall(frame)
        except OSError:
            pass
        try:
            target.shutdown(socket.SHUT_WR)
        except OSError:
            pass


def record(peers, name):
    server, port = peers.serve("serve", name)
    proxy = Proxy(port)
    client = peers.start("drive", name, str(proxy.listener.getsockname()[1]), str(port))
    said, _ = client.communicate(timeout=60)
    proxy.thread.join(5)
    server.stdin.close()
    server.wait(10)
    if client.returncode:
        raise SystemExit(f"{peers.dialect} {name}: the client failed")
    for line in said.splitlines():
        print("    ", line)
    frames = proxy.frames
    labels = json.loads(peers.ask("labels", text=json.dumps([peers.dialect, name == "bind_threads", frames])))
    return [{"from": side, "hex": text, "what": what} for (side, text), what in zip(frames, labels, strict=False)]


# ---------------------------------------------------------------- a peer that is not stock


def message(dialect, body, kind=1):
    """`body` is brine of "seq, args" without the tuple around it; -> payload."""
    return (bytes([kind]) + b"\x11" if dialect == "v6" else b"\x12" + bytes([0x50 + kind])) + body


def frame(payload, compressed=0, end=b"\n"):
    return struct.pack("!IB", len(payload), compressed) + payload + end


def request(dialect, body):
    return frame(message(dialect, body))


SEQ = b"\x57"  # 7
PING_HEAD = b"\x11\x51\x11\x51\x10"  # (PING, (1, (x,)))
PING = SEQ + PING_HEAD
STR = b"\x08"


def probes(d):
    """name, bytes to send to a stock server. Each goes over a new connection, and a plain PING (seq 9) follows."""
    yield "plain PING", request(d, PING + b"\x55")
    yield "frame: empty payload", frame(b"")
    yield "frame: last byte is not 0x0a", frame(message(d, PING + b"\x55"), end=b"X")
    yield "frame: compression flag 2, payload compressed", frame(zlib.compress(message(d, PING + b"\x55")), 2)
    yield "frame: flag 1, short payload compressed", frame(zlib.compress(message(d, PING + b"\x55")), 1)
    yield "frame: flag 1, payload not zlib", frame(message(d, PING + b"\x55"), 1)
    yield "frame: flag 1, bytes after the zlib stream", frame(zlib.compress(message(d, PING + b"\x55")) + b"more", 1)
    yield "frame: flag 1, zlib stream cut short", frame(zlib.compress(message(d, PING + b"\x55"))[:-3], 1)
    yield "frame: length beyond what is sent", struct.pack("!IB", 1 << 20, 0) + message(d, PING + b"\x55") + b"\n"
    yield "message: kind 0", frame(message(d, PING + b"\x55", 0))
    yield "message: kind 9", frame(message(d, PING + b"\x55", 9))
    yield "message: the other dialect", request("v5" if d == "v6" else "v6", PING + b"\x55")
    yield "message: sequence number is a str", request(d, STR + b"\x0aq" + PING_HEAD + b"\x55")
    yield "message: sequence number is negative", request(d, b"\x4f" + PING_HEAD + b"\x55")
    yield "message: bytes after the brine", request(d, PING + b"\x55" + b"more")
    yield "message: body is one item short", frame((b"\x01\x10" if d == "v6" else b"\x11\x51") + SEQ)
    yield "message: reply to a number never used", frame(message(d, SEQ + b"\x11\x51\x55", 2))
    yield "message: exception to a number never used", frame(message(d, SEQ + b"\x51", 3))
    yield "message: reply with box label 9", frame(message(d, SEQ + b"\x11\x59\x55", 2))
    yield "brine: tag 09", request(d, PING + b"\x09")
    yield "brine: tag 07", request(d, PING + b"\x07")
    yield "brine: tag ff", request(d, PING + b"\xff")
    yield "brine: value missing", request(d, PING)
    yield "brine: bytes shorter than their length", request(d, PING + b"\x0e\xc8abc")
    yield "brine: str that is not UTF-8", request(d, PING + b"\x08\x0a\xff")
    yield "brine: str over None", request(d, PING + b"\x08\x00")
    yield "brine: slice of two items", request(d, PING + b"\x19\x11\x51\x52")
    yield "brine: float cut short", request(d, PING + b"\x18\x00")
    yield "brine: int 'x'", request(d, PING + b"\x16\x01x")
    yield "brine: int of no digits", request(d, PING + b"\x16\x00")
    yield "brine: int '+1'", request(d, PING + b"\x16\x02+1")
    yield "brine: int '1_0'", request(d, PING + b"\x16\x031_0")
    yield "brine: int ' 7 '", request(d, PING + b"\x16\x03 7 ")
    yield "brine: int '007'", request(d, PING + b"\x16\x03007")
    yield "brine: int of 4300 digits", request(d, PING + b"\x17" + struct.pack("!I", 4300) + b"9" * 4300)
    yield "brine: int of 4301 digits", request(d, PING + b"\x17" + struct.pack("!I", 4301) + b"9" * 4301)
    yield "brine: long form, int 5", request(d, PING + b"\x16\x015")
    yield "brine: long form, one byte under 0f", request(d, PING + b"\x0f\0\0\0\x01a")
    yield "brine: long form, empty bytes under 0e", request(d, PING + b"\x0e\x00")
    yield "brine: long form, pair under 15", request(d, PING + b"\x15\0\0\0\x02\x51\x52")
    yield "brine: frozenset over a tuple with a repeated item", request(d, PING + b"\x1a\x11\x51\x51")
    yield "brine: frozenset over bytes", request(d, PING + b"\x1a\x0bab")
    yield "brine: frozenset that holds a slice", request(d, PING + b"\x1a\x10\x19\x12\x00\x51\x00")
    yield "brine: tuples nested 300 deep", request(d, PING + b"\x10" * 300 + b"\x51")
    yield "brine: tuples nested 5000 deep", request(d, PING + b"\x10" * 5000 + b"\x51")
    yield "brine: count of a million, nothing follows", request(d, PING + b"\x15\x00\x0f\x42\x40")
    yield "request: arguments with label 9", request(d, SEQ + b"\x11\x51\x11\x59\x10\x55")
    yield "request: argument items under label 2", request(d, SEQ + b"\x11\x51\x11\x52\x10\x11\x51\x55")
    yield "request: box is not a pair", request(d, SEQ + b"\x11\x51\x12\x51\x52\x53")
    yield "request: arguments by value, not a tuple", request(d, SEQ + b"\x11\x51\x11\x51\x55")
    yield "request: three items (handler, args, 5)", request(d, SEQ + b"\x12\x51\x11\x51\x10\x55\x55")
    yield "request: args is not a tuple at all", request(d, SEQ + b"\x55")
    yield "request: PING without argument", request(d, SEQ + b"\x11\x51\x11\x51\x02")
    yield "request: handler 0", request(d, SEQ + b"\x11\x50\x11\x51\x02")
    yield "request: handler 21", request(d, SEQ + b"\x11\x65\x11\x51\x02")
    yield "request: handler is a str", request(d, SEQ + b"\x11\x08\x0ax\x11\x51\x02")
    yield (
        "request: label 3, id pack that names nothing",
        request(d, SEQ + b"\x11\x59\x11\x52\x10\x11\x53\x12\x08\x0b" + b"x.Y"[:2] + b"\x51\x52"),
    )
    yield "request: label 3, id pack is an int", request(d, SEQ + b"\x11\x59\x11\x52\x10\x11\x53\x55")
    yield "request: label 4, id pack of two items", request(d, SEQ + b"\x11\x51\x11\x52\x10\x11\x54\x11\x08\x0ax\x51")
    yield (
        "request: label 4, ids are str, built-in name",
        request(d, SEQ + b"\x11\x51\x11\x52\x10\x11\x54\x12\x08\x0e\x0dbuiltins.list\x08\x0aa\x08\x0ab"),
    )
    close = request(d, b"\x50\x11\x52\x11\x51\x02")
    yield "closing: CLOSE", close
    yield "closing: PING, CLOSE, PING in one write", request(d, PING + b"\x55") + close + request(d, PING + b"\x55")
    yield (
        "closing: unknown tag, then a reply to the CLOSE that it causes",
        request(d, PING + b"\xff") + frame(message(d, b"\x50\x11\x51\x00", 2)),
    )


def probe(peers, data):
    """-> what a stock server answered, and whether it went on."""
    server, port = peers.serve("serve", "getroot")
    sock = socket.create_connection(("127.0.0.1", port))
    sock.settimeout(0.6)
    got, ended = [], False

    def collect():
        try:
            while (one := read_frame(sock)) is not None:
                got.append(one.hex())
        except TimeoutError:
            return False
        except (OSError, EOFError):
            pass
        return True

    sock.sendall(data)
    ended = collect()
    first = len(got)
    if not ended:
        try:
            sock.sendall(request(peers.dialect, b"\x59" + PING_HEAD + b"\x55"))
            ended = collect()
        except OSError:
            ended = True
    answered = got[first:]
    sock.close()
    server.stdin.close()
    server.wait(10)
    if ended:
        then = "the server closed the socket"
    elif answered:
        then = "still serving: answered the PING that followed"
    else:
        then = "silent: the PING that followed was not answered within 0.6 s"
    return {"received": got[:first], "after_ping": answered, "then": then}


def registry(peers, kind, listing):
    """Datagrams (or the one message each way of a TCP connection) between stock registry and stock registrar."""
    server, port = peers.serve("registry", kind, "listing" if listing else "closed")
    calls = [
        ["register", ["BANK", "Money"], 4711],
        ["discover", "bank"],
        ["discover", "nobody"],
        ["list"],
        ["list", "127.0.0.1"],
        ["unregister", 4711],
        ["discover", "bank"],
    ]
    if not listing:
        calls = [["list"]]
    frames, stop = [], threading.Event()
    if kind == "udp":
        near = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        near.bind(("127.0.0.1", 0))
        near.settimeout(0.2)

        def run():
            while not stop.is_set():
                try:
                    data, address = near.recvfrom(65536)
                except TimeoutError:
                    continue
                frames.append(("client", data))
                far = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                far.settimeout(3)
                far.sendto(data, ("127.0.0.1", port))
                answer = far.recv(65536)
                frames.append(("server", answer))
                near.sendto(answer, address)
    else:
        near = socket.create_server(("127.0.0.1", 0))
        near.settimeout(0.2)

        def run():
            while not stop.is_set():
                try:
                    sock, _ = near.accept()
                except TimeoutError:
                    continue
                data = sock.recv(65536)
                frames.append(("client", data))
                far = socket.create_connection(("127.0.0.1", port))
                far.sendall(data)
                answer = far.recv(65536)
                frames.append(("server", answer))
                try:
                    sock.sendall(answer)
                except OSError:
                    pass

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    peers.ask("registrar", kind, str(near.getsockname()[1]), json.dumps(calls))
    stop.set()
    thread.join(5)
    server.stdin.close()
    server.wait(10)
    names = [name for call in calls for name in (f"{call[0]} {call[1:]}", "answer")]
    return [{"from": side, "hex": data.hex(), "what": what} for (side, data), what in zip(frames, names, strict=False)]


# ---------------------------------------------------------------- files


def write(path, value):
    path.parent.mkdir(exist_ok=True)
    if isinstance(value, list):
        text = "[\n" + ",\n".join(json.dumps(item) for item in value) + "\n]\n"
    else:
        rows = {k: v for k, v in value.items() if not isinstance(v, list)}
        head = json.dumps(rows)[:-1]
        lists = {
            key: ",\n".join("  " + json.dumps(item) for item in items) for key, items in value.items() if isinstance(items, list)
        }
        text = head + "".join(f', "{key}": [\n{items}\n]' for key, items in lists.items()) + "}\n"
    json.loads(text)
    path.write_text(text)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("python", nargs="+", help="an interpreter with stock rpyc installed")
    parser.add_argument("--only", nargs="+", metavar="SCENARIO")
    options = parser.parse_args()
    for python in options.python:
        peers = Peers(python)
        head = {"dialect": peers.dialect, "stock": peers.stock}
        folder = HERE / peers.dialect

        def wanted(name):
            return not options.only or name in options.only

        for name, about in peers.scenarios.items():
            if wanted(name):
                print(peers.dialect, name, flush=True)
                write(folder / (name + ".json"), {**head, "scenario": name, "about": about, "frames": record(peers, name)})
        if wanted("malformed"):
            print(peers.dialect, "malformed", flush=True)
            write(
                folder / "malformed.json",
                {
                    **head,
                    "scenario": "malformed",
                    "about": "Input to a stock server from a peer that is not stock: one connection per case.",
                    "cases": [{"case": case, "send": data.hex(), **probe(peers, data)} for case, data in probes(peers.dialect)],
                },
            )
        if wanted("brine"):
            write(HERE / "brine.json", json.loads(peers.ask("brine")))
        if wanted("registry"):
            for kind in ("udp", "tcp"):
                write(
                    HERE / (f"registry_{kind}.json"),
                    {
                        "stock": peers.stock,
                        "scenario": "registry_" + kind,
                        "about": f"Registry messages over {kind.upper()}. They have no frame: hex is the whole message.",
                        "frames": registry(peers, kind, True)
                        + [{**f, "what": f["what"] + ", listing not allowed"} for f in registry(peers, kind, False)],
                    },
                )


if __name__ == "__main__":
    main()
