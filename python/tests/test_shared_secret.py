"""A secret in place of certificates, and who classic mode lets in."""

import contextlib
import socket
import subprocess
import sys
import threading
import time

import pytest

import netref
from hostile import Hostile, by_value, frame, hostile_server, request
from netref.core import consts
from netref.utils.authenticators import AuthenticationError, SharedSecret
from netref.utils.server import ThreadedServer, ThreadPoolServer

SECRET = b"a secret of sixteen bytes or more"


class Telling(netref.Service):
    def on_connect(self, conn):
        self.exposed_credentials = conn._config["credentials"]


@pytest.mark.parametrize("server_class", [ThreadedServer, ThreadPoolServer])
def test_who_knows_the_secret_is_let_in(serve, server_class):
    server = serve(Telling, server_class, authenticator=SharedSecret(SECRET))
    with SharedSecret(SECRET).connect("127.0.0.1", server.port) as conn:
        assert conn.root.credentials == "shared secret"
    with pytest.raises(AuthenticationError, match="refused the secret"):
        SharedSecret(SECRET + b"!").connect("127.0.0.1", server.port)
    assert server.stats()["rejected"] == 1


def test_who_knows_of_no_secret_is_not(serve):
    server = serve(Telling, authenticator=SharedSecret(SECRET))
    conn = netref.connect("127.0.0.1", server.port, config={"sync_request_timeout": 10})
    with pytest.raises(EOFError):
        _ = conn.root
    conn.close()
    for nonsense in (b"", b"x" * 64, b"nrs1" + bytes(60)):
        with Hostile(server.port) as peer:
            peer.send_raw(nonsense)
            peer.sock.shutdown(socket.SHUT_WR)
            peer.wait_for_the_end()
    assert server.stats()["served"] == 0


def test_answers_of_another_client_or_of_the_server_are_of_no_use(serve):
    """What was overheard answers another challenge; what the server says is no answer of a client's."""
    server = serve(Telling, authenticator=SharedSecret(SECRET))

    class Overheard(SharedSecret):
        def _proof(self, role, challenge, nonce):
            return super()._proof(b"server" if role == b"client" else role, challenge, nonce)

    with pytest.raises(AuthenticationError, match="refused the secret"):
        Overheard(SECRET).connect("127.0.0.1", server.port)
    with Hostile(server.port) as first, Hostile(server.port) as second:
        greetings = [first._read(36), second._read(36)]
        assert greetings[0] != greetings[1]
        nonce = bytes(32)
        answer = nonce + SharedSecret(SECRET)._proof(b"client", greetings[0][4:], nonce)
        second.send_raw(answer)
        second.wait_for_the_end()
        first.send_raw(answer)
        assert len(first._read(32)) == 32


def test_server_that_does_not_know_the_secret():
    """It cannot prove it, whatever it makes of the client's proof."""
    listener = socket.create_server(("127.0.0.1", 0))

    def impostor():
        sock, _ = listener.accept()
        with sock:
            sock.sendall(b"nrs1" + bytes(32))
            sock.recv(64)
            sock.sendall(bytes(32))
            sock.recv(1)

    threading.Thread(target=impostor, daemon=True).start()
    with listener, pytest.raises(AuthenticationError, match="server does not know the secret"):
        SharedSecret(SECRET).connect("127.0.0.1", listener.getsockname()[1])


@pytest.mark.parametrize("begins", [b"", b"nrs1" + bytes(32)], ids=["greeting", "proof"])
def test_server_that_drips(monkeypatch, begins):
    """The client's time is for all of what the server says, not for each byte."""
    monkeypatch.setattr(SharedSecret, "_LONGEST", 0.3)

    def drip(peer):
        peer.send_raw(begins)
        while True:  # until it is hung up on
            peer.send_raw(b"x")
            time.sleep(0.1)

    with hostile_server(drip) as port, pytest.raises(AuthenticationError, match="very slow"):
        SharedSecret(SECRET).connect("127.0.0.1", port)


@pytest.mark.parametrize("server_class", [ThreadedServer, ThreadPoolServer])
def test_requests_that_do_not_wait_to_be_let_in(serve, server_class):
    """What comes behind a wrong answer is never carried out; behind the right one it is, once that is verified."""
    server = serve(netref.VoidService, server_class, authenticator=SharedSecret(SECRET))
    ping = frame(request(101, consts.HANDLE_PING, by_value("let me in")))
    for secret in (b"another secret, just as long", SECRET):
        with Hostile(server.port) as peer:
            challenge, nonce = peer._read(36)[4:], bytes(32)
            peer.send_raw(nonce + SharedSecret(secret)._proof(b"client", challenge, nonce) + ping)
            if secret == SECRET:
                assert len(peer._read(32)) == 32 and "let me in" in peer.answer_to(101)
            else:
                with contextlib.suppress(ConnectionError):
                    assert peer.sock.recv(1) == b""
    assert server.stats()["rejected"] == 1


def test_secrets_that_are_none():
    for secret in (b"", b"too short", "text that is long enough", None):
        with pytest.raises(ValueError, match="16 bytes"):
            SharedSecret(secret)


# ---- classic mode


def classic(*arguments):
    command = [sys.executable, "-m", "netref", "classic", "-p", "0", *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


@pytest.mark.parametrize("address", [("--host", "0.0.0.0"), ("--host", "::", "--ipv6")])
def test_classic_mode_is_not_for_everybody(address):
    process = classic(*address)
    output, _ = process.communicate(timeout=30)
    assert process.returncode == 1 and "--insecure" in output and "--secret-file" in output


def test_classic_mode_with_a_secret(tmp_path):
    path = tmp_path / "secret"
    path.write_bytes(SECRET + b"\n")
    for arguments in (("--host", "0.0.0.0", "--secret-file", path), ("--host", "0.0.0.0", "--insecure"), ("--host", "localhost")):
        process = classic("-m", "oneshot", *arguments)
        try:
            assert process.stdout.readline() == "rpyc-oneshot\n" or process.stdout.readline() == "rpyc-oneshot\n"
            port = int(process.stdout.readline().split()[-1])
            if "--secret-file" in arguments:
                conn = SharedSecret(SECRET).connect("127.0.0.1", port, service=netref.core.service.ClassicClient)
                assert conn.modules.sys.version_info[0] == 3
                conn.close()
        finally:
            process.kill()
            process.communicate()
