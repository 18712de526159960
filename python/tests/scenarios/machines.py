"""Other machines: reached through tunnels, and with servers that are deployed to them."""

import contextlib
import os
import socket
import sys
import threading

from scenarios.host import raises


class _Machine:
    """This machine, with tunnels as plumbum's ssh machines have them."""

    def __init__(self):
        self.closed = []

    def __getattr__(self, name):
        import plumbum

        return getattr(plumbum.local, name)

    def __getitem__(self, name):
        import plumbum

        return plumbum.local[name]

    def tunnel(self, local_port, remote_port):
        return _Tunnel(self, local_port, remote_port)


class _Tunnel:
    def __init__(self, machine, local_port, remote_port):
        self.machine, self.remote_port = machine, remote_port
        self.listener = socket.create_server(("localhost", local_port))
        threading.Thread(target=self.forward, daemon=True).start()

    def forward(self):
        try:
            while True:
                near, _ = self.listener.accept()
                far = socket.create_connection(("localhost", self.remote_port))
                for ends in ((near, far), (far, near)):
                    threading.Thread(target=self.pump, args=ends, daemon=True).start()
        except OSError:
            pass  # closed

    @staticmethod
    def pump(source, target):
        with contextlib.suppress(OSError):  # either may be reset, of which the other has to hear
            while data := source.recv(65536):
                target.sendall(data)
        for end in (source, target):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def close(self):
        """RPyC may do so twice."""
        if self.listener.fileno() >= 0:
            self.machine.closed.append(self.remote_port)
            self.listener.shutdown(socket.SHUT_RDWR)
            self.listener.close()


def _serve_classic(side):
    return side.serve(side.rpyc.SlaveService)


def connections_through_tunnels(side):
    rpyc = side.rpyc
    machine, port = _Machine(), side.far(_serve_classic)
    for connect in (rpyc.classic.ssh_connect, rpyc.utils.factory.ssh_connect):
        conn = connect(machine, port)
        stream = conn._channel.stream
        assert isinstance(stream, rpyc.core.stream.TunneledSocketStream) and stream.tun.remote_port == port
        assert stream.sock.fileno() == stream.fileno() and conn.root.eval("6 * 7") == 42
        conn.close()
        assert stream.closed and stream.sock is rpyc.core.stream.ClosedFile
    assert machine.closed == [port, port]


def _deploy(side):
    server = _deployed(side)
    return server.remote_port


def _deployed(side):
    zerodeploy = __import__(f"{side.name}.utils.zerodeploy", fromlist=["zerodeploy"])
    server = zerodeploy.DeployedServer(_Machine(), python_executable=sys.executable)
    side.cleanup.callback(server.close)
    return server


def deployed_servers(side):
    with side.rpyc.classic.connect("localhost", side.far(_deploy)) as conn:  # the one that the other implementation deploys
        directory = conn.modules.os.getcwd()
        assert conn.modules.os.getpid() != os.getpid() and conn.eval("2 + 2") == 4
        assert conn.modules.rpyc.__file__.startswith(directory)
        conn.execute("def apply(function, value):\n    return function(value)")
        assert conn.namespace["apply"](lambda x: x + 1, 1) == 2
        raises(ZeroDivisionError, conn.eval, "1 / 0")
    server = _deployed(side)
    tunnel, process, machine = server.tun, server.proc, server.remote_machine
    assert isinstance(machine, _Machine) and isinstance(tunnel, _Tunnel) and process.poll() is None
    assert server.remote_port == tunnel.remote_port != server.local_port
    with server.connect(config={"allow_public_attrs": True}) as conn, server.classic_connect() as classic:
        assert conn._config["allow_public_attrs"] and conn.root.eval("3 * 3") == 9
        assert conn.root.eval("__import__('os').getpid()") == classic.modules.os.getpid()
        directory = classic.modules.os.getcwd()
        server.close()
        raises(EOFError, classic.eval, "1")
    assert process.poll() is not None and not os.path.exists(directory)
    assert server.proc is server.tun is server.remote_machine is None
    server.close()


def deployments_to_several_machines(side):
    zerodeploy = __import__(f"{side.name}.utils.zerodeploy", fromlist=["zerodeploy"])
    machines = [_Machine(), _Machine()]
    for part in ("SERVER_MODULE", "SERVER_CLASS", "SERVICE_MODULE", "SERVICE_CLASS", "EXTRA_SETUP"):
        assert f"${part}$" in zerodeploy.SERVER_SCRIPT
    with zerodeploy.MultiServerDeployment(machines) as deployment:
        assert deployment.remote_machines == machines and len(deployment) == len(deployment.servers) == 2
        assert [server.remote_machine for server in deployment] == machines and deployment[0] is deployment.servers[0]
        conns = deployment.classic_connect_all()
        assert len({os.getpid(), *(conn.modules.os.getpid() for conn in conns)}) == 3
        plain = deployment.connect_all()
        assert [conn.root.eval("1 + 1") for conn in plain] == [2, 2]
        deployment.close()
        assert len(deployment) == 0
        for conn in conns + plain:
            raises(EOFError, conn.ping)
            conn.close()
