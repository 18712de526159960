"""Finding out who connects, before a connection is made.

An authenticator is called by a server with the socket of a client. It returns a socket to go on with, the same or another, and
credentials, which can be anything and become the connection's configuration ``"credentials"``; or it raises
:class:`AuthenticationError`.
"""


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
        context.load_cert_chain(self.certfile, keyfile=self.keyfile)
        if self.ca_certs is not None:
            context.load_verify_locations(self.ca_certs)
        if self.ciphers is not None:
            context.set_ciphers(self.ciphers)
        context.verify_mode = self.cert_reqs
        return context
