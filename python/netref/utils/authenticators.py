"""Finding out who connects, before a connection is made."""


class AuthenticationError(Exception):
    """Raised by an authenticator to refuse a client."""
