"""Makes the seed corpora from the recorded frames: `python fuzz/seeds.py`, from anywhere.

Small and different rather than many: one payload for each length and kind of message, none over 1,000 bytes.
"""

import hashlib
import json
import pathlib
import zlib

HERE = pathlib.Path(__file__).resolve().parent
VECTORS = HERE.parent / "vectors"
LONGEST = 1000


def main():
    frames = [(path.parent.name, frame) for path in sorted(VECTORS.glob("v?/*.json")) for frame in recorded(path)]
    payloads = list(distinct((dialect, payload) for dialect, frame in frames for payload in [inflated(frame)]))
    write("message", [payload for _, payload in payloads])
    # The target fills in the payloads of large frames, which come between small ones here.
    large, small = (300_000).to_bytes(4, "big") + b"\0\n", b"\0\0\0\1\0x\n"
    streams = [large, small + large + small * 20 + large, large + large + small, large[:5] + b"x", large[:4] + b"\1\n"]
    write(
        "deframe",
        [bytes([7, 0, 255, 60]) + frame for _, frame in distinct(frames)][::3] + [bytes([7, 200, 255, 60]) + s for s in streams],
    )
    write("brine_decode", [bytes.fromhex(item["hex"]) for item in json.loads((VECTORS / "brine.json").read_text())])
    write("registry", [bytes.fromhex(item["hex"]) for item in json.loads((VECTORS / "registry_udp.json").read_text())["frames"]])
    plain = [bytes(3000), b"netref" * 500, bytes(range(256)) * 8, b""]
    write("inflate", [bytes([exponent]) + zlib.compress(stream) for stream in plain for exponent in (3, 12, 20)])
    write("brine_roundtrip", [bytes([kind, 3, *range(kind, 40 + kind)]) for kind in range(10)])
    write(
        "exception_load",
        [exception for _, payload in payloads if (exception := payload[payload.find(b"\x13\x11\x08") :])[:1] == b"\x13"],
    )
    # A dialect, then steps: take a payload as it is (0 and its length), read it (7), write (3 and 4), send (5).
    write(
        "session",
        [
            bytes([dialect == "v5", 0, len(payload)]) + payload + bytes([7, 0, 4, 3, 1, 2, 6, 0, 5, 10])
            for dialect, payload in payloads
            if len(payload) < 256
        ][::2],
    )


def recorded(path):
    content = json.loads(path.read_text())
    for case in content.get("cases", []):
        yield bytes.fromhex(case["send"])
    if path.stem != "bind_threads":
        for frame in content.get("frames", []):
            yield bytes.fromhex(frame["hex"])


def inflated(frame):
    payload = frame[5:-1]
    if frame[4:5] == b"\1":
        try:
            return zlib.decompress(payload)
        except zlib.error:
            pass
    return payload


def distinct(items):
    seen = set()
    for dialect, data in items:
        shape = dialect, data[:8], len(data) // 8
        if len(data) <= LONGEST and shape not in seen:
            seen.add(shape)
            yield dialect, data


def write(target, seeds):
    folder = HERE / "corpus" / target
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    for seed in seeds:
        if 0 < len(seed) <= LONGEST:
            (folder / hashlib.sha1(seed).hexdigest()[:12]).write_bytes(seed)


main()
