"""``netref classic``: a server for classic mode, with the options of RPyC's ``rpyc_classic``."""

import os
import socket
import sys

from netref.cli._application import Application, existing_file, port
from netref.core.service import ClassicService, SlaveService
from netref.lib import setup_logger
from netref.utils import factory
from netref.utils import server as servers
from netref.utils.classic import DEFAULT_SERVER_PORT, DEFAULT_SERVER_SSL_PORT
from netref.utils.registry import REGISTRY_PORT, TCPRegistryClient, UDPRegistryClient


class ClassicServer(Application):
    """Serves classic mode: whoever connects can run any code in this process."""

    NAME = "rpyc_classic"

    mode = "threaded"
    port = None
    host = ""
    ipv6 = False
    logfile = None
    quiet = False
    ssl_keyfile = None
    ssl_certfile = None
    ssl_cafile = None
    secret_file = None
    insecure = False
    auto_register = False
    registry_type = "UDP"
    registry_port = REGISTRY_PORT
    registry_host = None

    def add_options(self, parser):
        parser.add_argument(
            "-m",
            "--mode",
            type=str.lower,
            choices=["threaded", "forking", "stdio", "oneshot"],
            help="a thread or a process for each client, standard input and output, or one client; threaded by default",
        )
        sockets = parser.add_argument_group("Socket options")
        sockets.add_argument(
            "-p", "--port", type=port, help=f"TCP port; {DEFAULT_SERVER_PORT}, or {DEFAULT_SERVER_SSL_PORT} with SSL, by default"
        )
        sockets.add_argument("--host", help="the address to listen at; this machine only by default")
        sockets.add_argument("--ipv6", action="store_true", help="use IPv6")
        logging = parser.add_argument_group("Logging")
        logging.add_argument("--logfile", help="a file to log to; standard error by default")
        logging.add_argument("-q", "--quiet", action="store_true", help="log errors only")
        ssl = parser.add_argument_group("SSL")
        ssl.add_argument("--ssl-keyfile", type=existing_file, help="the server's key")
        ssl.add_argument("--ssl-certfile", type=existing_file, help="the server's certificate")
        ssl.add_argument("--ssl-cafile", type=existing_file, help="certificates that clients have to be vouched for by")
        access = parser.add_argument_group("Access")
        access.add_argument(
            "--secret-file", type=existing_file, help="a file with a secret that clients have to know, see SharedSecret"
        )
        access.add_argument(
            "--insecure", action="store_true", help="let anybody run code here who can reach an address beyond this machine"
        )
        registry = parser.add_argument_group("Registry")
        registry.add_argument("--register", dest="auto_register", action="store_true", help="register with a registry")
        registry.add_argument("--registry-type", type=str.upper, choices=["UDP", "TCP"], help="UDP by default")
        registry.add_argument("--registry-port", type=port, help=f"the registry's port; {REGISTRY_PORT} by default")
        registry.add_argument("--registry-host", help="the registry's address; everybody on this network by default for UDP")

    def check(self, parser):
        if bool(self.ssl_keyfile) != bool(self.ssl_certfile):
            parser.error("--ssl-keyfile and --ssl-certfile need each other")
        if self.ssl_cafile and not self.ssl_keyfile:
            parser.error("--ssl-cafile needs --ssl-keyfile")
        if self.secret_file and self.ssl_keyfile:
            parser.error("--secret-file and --ssl-keyfile are two ways of letting clients in; choose one")
        if self.registry_type == "TCP" and self.registry_host is None:
            parser.error("--registry-type TCP needs --registry-host")

    def main(self):
        self.host = self.host or ("::1" if self.ipv6 else "127.0.0.1")
        if self.mode != "stdio" and not self._is_protected():
            sys.exit(
                f"rpyc_classic lets whoever connects run any code, and other machines can reach {self.host}. Use ssh and this"
                " machine's own address, --secret-file, or --ssl-keyfile with --ssl-cafile; or say --insecure."
            )
        self.registrar = self._make_registrar()
        self.authenticator = self._make_authenticator()
        if self.port is None:
            self.port = DEFAULT_SERVER_SSL_PORT if self.ssl_keyfile else DEFAULT_SERVER_PORT
        setup_logger(self.quiet, self.logfile)
        if self.mode == "stdio":
            self._serve_stdio()
        elif self.mode == "oneshot":
            self._serve_oneshot()
        else:
            self._serve_mode(servers.ForkingServer if self.mode == "forking" else servers.ThreadedServer)

    def _is_protected(self):
        """Whether only those are let in who have proved something, or are on this machine."""
        if self.insecure or self.secret_file or self.ssl_cafile:
            return True
        family = socket.AF_INET6 if self.ipv6 else socket.AF_INET
        addresses = socket.getaddrinfo(self.host, None, family, socket.SOCK_STREAM)
        return all(address[0].startswith("127.") or address[0] == "::1" for *_, address in addresses)

    def _make_registrar(self):
        if self.registry_type == "TCP":
            return TCPRegistryClient(ip=self.registry_host, port=self.registry_port)
        self.registry_host = self.registry_host or "255.255.255.255"
        return UDPRegistryClient(ip=self.registry_host, port=self.registry_port)

    def _make_authenticator(self):
        if self.secret_file:
            from netref.utils.authenticators import SharedSecret

            with open(self.secret_file, "rb") as file:
                secret = file.read().strip()
            try:
                return SharedSecret(secret)
            except ValueError as error:
                sys.exit(f"rpyc_classic: {self.secret_file}: {error}")
        if not self.ssl_keyfile:
            return None
        import ssl  # which not every Python has

        from netref.utils.authenticators import SSLAuthenticator

        authenticator = SSLAuthenticator(self.ssl_keyfile, self.ssl_certfile, self.ssl_cafile)
        authenticator._context(ssl)  # fails for what would have it refuse every client
        return authenticator

    def _serve_mode(self, factory):
        self._make_server(factory).start()

    def _serve_oneshot(self):
        server = self._make_server(servers.OneShotServer)
        server._listen()
        sys.stdout.write(f"rpyc-oneshot\n{server.host}\t{server.port}\n")  # whoever started this reads it
        sys.stdout.flush()
        server.start()

    def _make_server(self, server_class):
        return server_class(
            SlaveService,
            hostname=self.host,
            port=self.port,
            reuse_addr=True,
            ipv6=self.ipv6,
            authenticator=self.authenticator,
            registrar=self.registrar,
            auto_register=self.auto_register,
        )

    def _serve_stdio(self):
        pipes = os.fdopen(os.dup(0), "rb", 0), os.fdopen(os.dup(1), "wb", 0)
        # What the peer's code and its child processes print or read must not get between the messages.
        null = os.open(os.devnull, os.O_RDWR)
        os.dup2(null, 0)
        os.dup2(null, 1)
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115  (for inetd, it is the connection as well)
        conn = factory.connect_pipes(*pipes, ClassicService)
        try:
            conn.serve_all()
        except KeyboardInterrupt:
            pass
        finally:
            conn.close()


def main():
    """The program ``rpyc_classic``."""
    ClassicServer.run()


if __name__ == "__main__":
    main()
