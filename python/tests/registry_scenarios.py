"""What a registry does, on netref and on stock RPyC alike. Each scenario gets the package, the kind of registry and its port."""

import importlib
import threading


def _registrar(rpyc, kind, port):
    registry = importlib.import_module(f"{rpyc.__name__}.utils.registry")
    return getattr(registry, f"{kind}RegistryClient")("127.0.0.1", port=int(port))


def _raises(kind, function, *args, **kwargs):
    try:
        function(*args, **kwargs)
    except kind as error:
        return error
    raise AssertionError(f"no {kind.__name__}")


def registering_and_asking(rpyc, kind, port):
    registrar = _registrar(rpyc, kind, port)
    assert registrar.discover("first") == ()
    assert registrar.register(("FIRST", "second"), 1001) is True
    assert registrar.register(("FIRST",), 1002, interface="127.0.0.1") is True
    assert registrar.discover("first") == (("127.0.0.1", 1001), ("127.0.0.1", 1002))
    assert registrar.discover("Second") == (("127.0.0.1", 1001),)
    assert registrar.register(("FIRST",), 1001) is True  # again, which makes it the youngest
    assert registrar.discover("first") == (("127.0.0.1", 1002), ("127.0.0.1", 1001))
    assert {"FIRST", "SECOND"} <= set(registrar.list())
    assert {"FIRST", "SECOND"} <= set(registrar.list("127.0.0.1"))
    assert registrar.list("10.1.2.3") == ()
    for server in (1001, 1002):
        registrar.unregister(server)
    assert registrar.discover("first") == registrar.discover("second") == ()


def servers_that_register_themselves(rpyc, kind, port):
    servers = importlib.import_module(f"{rpyc.__name__}.utils.server")

    class EchoService(rpyc.Service):
        ALIASES = ("scenario.echo", "scenario.again")

        def exposed_echo(self, value):
            return value

    registered = threading.Event()
    registrar = _registrar(rpyc, kind, port)
    register = registrar.register

    def noticed(*args, **kwargs):
        done = register(*args, **kwargs)
        registered.set()
        return done

    registrar.register = noticed
    server = servers.ThreadedServer(EchoService, hostname="127.0.0.1", registrar=registrar)
    thread = server._start_in_thread()
    assert registered.wait(10)
    asking = _registrar(rpyc, kind, port)
    assert rpyc.discover("scenario.echo", registrar=asking) == (("127.0.0.1", server.port),)
    assert list(rpyc.discover("scenario.echo", host="localhost", registrar=asking)) == [("127.0.0.1", server.port)]
    assert "SCENARIO.AGAIN" in rpyc.list_services(registrar=asking)
    conn = rpyc.connect_by_service("scenario.again", registrar=asking)
    assert conn.root.echo("hello") == "hello"
    conn.close()
    server.close()
    thread.join(10)
    assert not thread.is_alive()
    _raises(rpyc.utils.factory.DiscoveryError, rpyc.discover, "scenario.echo", registrar=asking)


def servers_that_are_gone(rpyc, kind, port):
    registrar = _registrar(rpyc, kind, port)
    assert registrar.register(("SCENARIO.GONE",), 1)
    error = _raises(rpyc.utils.factory.DiscoveryError, rpyc.connect_by_service, "scenario.gone", registrar=registrar)
    assert "All services are down" in str(error)
    registrar.unregister(1)
