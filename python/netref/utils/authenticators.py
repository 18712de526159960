"""Finding out who connects, before a connection is made.

An authenticator is called by a server with the socket of a client. It returns a socket to go on with, the same or another, and
credentials, which can be anything and become the connection's configuration ``"credentials"``; or it raises
:class:`AuthenticationError`.
"""

import os

from netref.lib import Timeout


class AuthenticationError(Exception):
    """Raised by an authenticator to refuse a client."""


class SSLAuthenticator:
    """Does a TLS handshake with the client. Its credentials are the client's certificate, as ``ssl.SSLSocket.getpeercert``
    has it. Clients use :func:`netref.utils.factory.ssl_connect`.

    :param keyfile: path of the server's key
    :param certfile: path of the server's certificate
    :param ca_certs: path of the certificates that clients' ones are verified with
    :param cert_reqs: what is required of clients, ``ssl.CERT_*``; with ``ca_certs``, a certificate, by default
    :param ssl_version: an ``ssl.PROTOCOL_*``; the best that both sides know by default
    :param ciphers: for ``ssl.SSLContext.set_ciphers``
    """

    def __init__(self, keyfile, certfile, ca_certs=None, cert_reqs=None, ssl_version=None, ciphers=None):
        import ssl  # takes long to import, and few need it

        self.keyfile = str(keyfile)
        self.certfile = str(certfile)
        self.ca_certs = str(ca_certs) if ca_certs else None
        self.ciphers = ciphers
        if cert_reqs is None:
            cert_reqs = ssl.CERT_REQUIRED if ca_certs else ssl.CERT_NONE
        self.cert_reqs = cert_reqs
        self.ssl_version = ssl_version

    def __call__(self, sock):
        """The socket with TLS, and the client's certificate.

        :raises AuthenticationError: if the handshake fails
        """
        import ssl

        try:
            secure = self._context(ssl).wrap_socket(sock, server_side=True)
        except ssl.SSLError as error:
            raise AuthenticationError(str(error)) from error
        return secure, secure.getpeercert()

    def _context(self, ssl):
        if self.ssl_version is None:
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        else:
            context = ssl.SSLContext(self.ssl_version)
        try:
            context.load_cert_chain(self.certfile, keyfile=self.keyfile)
            if self.ca_certs is not None:
                context.load_verify_locations(self.ca_certs)
        except OSError as error:  # which names no file
            files = ", ".join(filter(None, (self.keyfile, self.certfile, self.ca_certs)))
            raise ssl.SSLError(error.errno, f"cannot use the server's own key and certificates, {files}: {error}") from error
        if self.ciphers is not None:
            context.set_ciphers(self.ciphers)
        context.verify_mode = self.cert_reqs
        context.options |= ssl.OP_NO_RENEGOTIATION  # which costs the server more than the client, again and again
        return context


class SharedSecret:
    """A secret that a server and its clients share, in place of certificates. Both sides prove that they know it, and neither
    sends it. The Rust face has the same: ``netref::SharedSecret``.

    On a server it is the authenticator; a client connects with its :meth:`connect`::

        ThreadedServer(MyService, port=18861, authenticator=SharedSecret(secret)).start()

        conn = SharedSecret(secret).connect("server", 18861)

    What it protects: nobody gets in who does not know the secret, and clients notice a server that does not. What it does not:
    nothing is encrypted, and who can change what is on its way can take a connection over once it is made. Where that matters,
    use TLS. A secret that can be guessed is guessed by whoever listens: take one from :func:`secrets.token_bytes`.

    :param secret: at least 16 bytes
    """

    _MAGIC = b"nrs1"
    _NONCE = 32
    _PROOF = 32
    _LONGEST = 10

    def __init__(self, secret):
        if not isinstance(secret, bytes) or len(secret) < 16:
            raise ValueError("a shared secret is at least 16 bytes, such as secrets.token_bytes(32)")
        self._secret = secret

    def __call__(self, sock):
        """The server's part: has a client prove that it knows the secret, and proves the same to it.

        :returns: the socket, and the credentials ``"shared secret"``
        :raises AuthenticationError: if it does not
        """
        challenge = os.urandom(self._NONCE)
        sock.sendall(self._MAGIC + challenge)
        answer = _receive(sock, self._NONCE + self._PROOF)
        nonce, proof = answer[: self._NONCE], answer[self._NONCE :]
        if not self._is_proof(proof, b"client", challenge, nonce):
            raise AuthenticationError("the client does not know the secret")
        sock.sendall(self._proof(b"server", challenge, nonce))
        return sock, "shared secret"

    def prove(self, sock):
        """The client's part.

        :param sock: a socket that is connected to a server with the same secret; its time-out holds for all of it
        :raises AuthenticationError: if the server does not know the secret, or asks for none
        """
        blocks_for = sock.gettimeout()
        limit = Timeout(blocks_for)
        greeting = _receive(sock, len(self._MAGIC) + self._NONCE, limit)
        magic, challenge = greeting[: len(self._MAGIC)], greeting[len(self._MAGIC) :]
        if magic != self._MAGIC:
            raise AuthenticationError("the server asks for no shared secret")
        nonce = os.urandom(self._NONCE)
        sock.sendall(nonce + self._proof(b"client", challenge, nonce))
        try:
            proof = _receive(sock, self._PROOF, limit)
        except AuthenticationError:
            raise AuthenticationError("the server refused the secret") from None
        if not self._is_proof(proof, b"server", challenge, nonce):
            raise AuthenticationError("the server does not know the secret")
        sock.settimeout(blocks_for)

    def connect(self, host, port, *, ipv6=False, **options):
        """Connects to a server that has the same secret for its authenticator, which takes one and a half round trips.

        :param options: ``service`` and ``config``, as for :func:`netref.connect`
        :raises AuthenticationError: if the server does not know the secret, or asks for none
        :raises OSError: if there is nobody to connect to
        """
        from netref.core.stream import SocketStream
        from netref.utils.factory import connect_stream  # which imports this package

        stream = SocketStream.connect(host, port, ipv6=ipv6)
        try:
            stream.sock.settimeout(self._LONGEST)
            try:
                self.prove(stream.sock)
            except TimeoutError:
                raise AuthenticationError("the server asks for no shared secret, or is very slow") from None
            stream.sock.settimeout(None)
            return connect_stream(stream, **options)
        except BaseException:
            stream.close()
            raise

    def _proof(self, role, challenge, nonce):
        """What only who knows the secret can say, in that role, about those two numbers."""
        import hmac  # takes long to import, and few need it

        return hmac.digest(self._secret, b"netref shared secret " + role + challenge + nonce, "sha256")

    def _is_proof(self, proof, role, challenge, nonce):
        import hmac

        return hmac.compare_digest(proof, self._proof(role, challenge, nonce))


def _receive(sock, count, limit=None):
    """Exactly so many bytes, within the time limit if there is one: what follows is for the connection."""
    data = b""
    while len(data) < count:
        if limit is not None:
            if limit.expired():
                raise TimeoutError("the other side is very slow")
            sock.settimeout(limit.timeleft())
        chunk = sock.recv(count - len(data))
        if not chunk:
            raise AuthenticationError("the other side hung up")
        data += chunk
    return data
