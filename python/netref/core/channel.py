"""Frames over a stream, for a handshake of one's own before a connection takes the stream over."""

import struct
import zlib


class Channel:
    """Sends and receives frames over a stream."""

    COMPRESSION_THRESHOLD = 3000
    COMPRESSION_LEVEL = 1
    FRAME_HEADER = struct.Struct("!LB")
    FLUSHER = b"\n"

    __slots__ = ("compress", "stream")

    def __init__(self, stream, compress=True):
        self.stream = stream
        self.compress = compress

    def close(self):
        """Closes the stream underneath."""
        self.stream.close()

    @property
    def closed(self):
        """Whether the stream underneath is closed."""
        return self.stream.closed

    def fileno(self):
        """The file descriptor of the stream underneath."""
        return self.stream.fileno()

    def poll(self, timeout):
        """Whether there is something to receive, after waiting for at most ``timeout`` seconds."""
        return self.stream.poll(timeout)

    def recv(self):
        """The payload of the next frame. Blocks until it is here whole."""
        length, compressed = self.FRAME_HEADER.unpack(self.stream.read(self.FRAME_HEADER.size))
        payload = self.stream.read(length + len(self.FLUSHER))[: -len(self.FLUSHER)]
        return zlib.decompress(payload) if compressed else payload

    def send(self, data):
        """Sends a payload as one frame."""
        compressed = bool(self.compress) and len(data) > self.COMPRESSION_THRESHOLD
        if compressed:
            data = zlib.compress(data, self.COMPRESSION_LEVEL)
        self.stream.write(self.FRAME_HEADER.pack(len(data), compressed) + data + self.FLUSHER)
