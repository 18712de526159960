"""Servers on machines that have Python and nothing else, for as long as they are needed.

Works on machines of `plumbum <https://plumbum.readthedocs.io>`_, which has to be installed to make them. What is copied there is
a small server of plain Python, found there as the package ``rpyc``, never netref's compiled module: the machine may be of another
kind, and its Python of another version.
"""

import contextlib
import os
import subprocess
import sys

from netref.core import python_brine
from netref.core.service import VoidService
from netref.core.stream import SocketStream
from netref.utils import classic, factory

#: Run on the machine, from the temporary directory that has the package beside it, until its standard input ends.
SERVER_SCRIPT = r"""
import atexit
import os
import shutil
import sys

here = os.path.dirname(os.path.abspath(__file__))
os.chdir(here)
atexit.register(shutil.rmtree, here, True)
sys.path.insert(0, here)
from $SERVER_MODULE$ import $SERVER_CLASS$ as ServerCls
from $SERVICE_MODULE$ import $SERVICE_CLASS$ as ServiceCls

logger = None
$EXTRA_SETUP$

server = ServerCls(ServiceCls, hostname="localhost", port=0, reuse_addr=True, logger=logger)
thread = server._start_in_thread()
sys.stdout.write("%s\n" % server.port)
sys.stdout.flush()
try:
    sys.stdin.read()
finally:
    server.close()
    thread.join(2)
"""

#: Of what a machine prints where a port is expected.
_LONGEST_LINE = 16 * 1024

_AGENT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "_agent")


class DeployedServer:
    """A server on a machine, started with this object and ended by :meth:`close`, which leaves nothing behind.

    It listens at that machine's ``localhost``, which connections reach through a tunnel. **Whoever can connect to that port,
    thus every user of that machine, can use the server.**

    :param remote_machine: a plumbum ``SshMachine`` or ``ParamikoMachine``, which is closed with the server; or ``plumbum.local``
    :param server_class: the server, ``rpyc.utils.server.ThreadedServer`` or ``OneShotServer``, or one that ``extra_setup`` or the
        machine provides
    :param service_class: the service
    :param server_script: the script to run there. ``$SERVER_MODULE$``, ``$SERVER_CLASS$``, ``$SERVICE_MODULE$``,
        ``$SERVICE_CLASS$`` and ``$EXTRA_SETUP$`` are replaced in it; it prints the port, and ends with its standard input
    :param extra_setup: code for the script
    :param python_executable: the Python there, as a name, a path or a plumbum command; by default this one's version, or else
        whichever is there
    :raises ImportError: without plumbum
    :raises plumbum.ProcessExecutionError: if the server does not start; with what it printed
    """

    def __init__(
        self,
        remote_machine,
        server_class="rpyc.utils.server.ThreadedServer",
        service_class="rpyc.core.service.SlaveService",
        server_script=SERVER_SCRIPT,
        extra_setup="",
        python_executable=None,
    ):
        self.proc = None
        self.tun = None
        self.remote_machine = remote_machine
        self.remote_port = None
        self.local_port = None
        self._tmpdir_ctx = None
        plumbum = _import_plumbum()
        with contextlib.ExitStack() as undoing:
            undoing.callback(self.close)
            script = self._copy_agent(plumbum, _fill_in(server_script, server_class, service_class, extra_setup))
            python = _find_python(plumbum, remote_machine, python_executable)
            self.proc = python.popen(script, new_session=True)
            self.remote_port = self._read_port(plumbum)
            self._open_tunnel()
            undoing.pop_all()

    def __del__(self):
        self.close()

    def __enter__(self):
        return self

    def __exit__(self, t, v, tb):
        self.close()

    def connect(self, service=VoidService, config={}):
        """Connects to the server. Parameters as for :func:`netref.utils.factory.connect`."""
        return factory.connect_stream(SocketStream(self._connect_sock()), service=service, config=config)

    def classic_connect(self):
        """Connects to the server in classic mode."""
        return classic.connect_stream(SocketStream(self._connect_sock()))

    def close(self, timeout=None):
        """Ends the server, the tunnel and the connection to the machine.

        :param timeout: seconds that each of these may take
        :raises subprocess.TimeoutExpired: if one takes longer; it is then ended by force
        """
        proc, self.proc = self.proc, None
        if proc is not None:
            _end(proc, timeout)
        tunnel, self.tun = self.tun, None
        if tunnel is not None:
            _end(_session_process(tunnel), timeout)
            _quietly(tunnel.close)
        tmpdir, self._tmpdir_ctx = self._tmpdir_ctx, None
        if tmpdir is not None:
            # The script has removed it, unless it was ended by force.
            _quietly(tmpdir.__exit__, None, None, None)
        machine, self.remote_machine = self.remote_machine, None
        if machine is not None and hasattr(machine, "close"):
            _end(_session_process(machine), timeout)
            _quietly(machine.close)

    def _copy_agent(self, plumbum, server_script):
        """Puts the server and its script into a temporary directory there, and returns the script's path."""
        self._tmpdir_ctx = self.remote_machine.tempdir()
        directory = self._tmpdir_ctx.__enter__()
        plumbum.path.utils.copy(plumbum.local.path(_AGENT), directory / "rpyc")
        plumbum.path.utils.copy(plumbum.local.path(python_brine.__file__), directory / "rpyc" / "core" / "brine.py")
        script = directory / "deployed-rpyc.py"
        script.write(server_script)
        return script

    def _read_port(self, plumbum):
        line = self.proc.stdout.readline(_LONGEST_LINE)
        try:
            return int(line)
        except ValueError:
            proc, self.proc = self.proc, None
            if len(line) < _LONGEST_LINE:
                _quietly(proc.terminate)
                stdout, stderr = proc.communicate()
            else:
                _quietly(proc.kill)  # what goes on like that may not end by itself, nor is it of interest
                _quietly(proc.wait)
                stdout, stderr = b"", b"a line without end came where the server was to print its port"
            raise plumbum.ProcessExecutionError(proc.argv, proc.returncode, line + stdout, stderr) from None

    def _open_tunnel(self):
        if hasattr(self.remote_machine, "tunnel"):
            self.local_port = factory._get_free_port()
            self.tun = self.remote_machine.tunnel(self.local_port, self.remote_port)
        elif not hasattr(self.remote_machine, "connect_sock"):
            self.local_port = self.remote_port  # this machine

    def _connect_sock(self):
        if self.local_port is None:
            return self.remote_machine.connect_sock(self.remote_port)
        return SocketStream._connect("localhost", self.local_port)


class MultiServerDeployment:
    """A :class:`DeployedServer` on each of several machines; a sequence of them.

    :param remote_machines: the machines
    :param server_class: as for :class:`DeployedServer`
    """

    def __init__(self, remote_machines, server_class="rpyc.utils.server.ThreadedServer"):
        self.remote_machines = remote_machines
        self.servers = []
        with contextlib.ExitStack() as undoing:
            undoing.callback(self.close)
            for machine in remote_machines:
                self.servers.append(DeployedServer(machine, server_class))
            undoing.pop_all()

    def __del__(self):
        self.close()

    def __enter__(self):
        return self

    def __exit__(self, t, v, tb):
        self.close()

    def __iter__(self):
        return iter(self.servers)

    def __len__(self):
        return len(self.servers)

    def __getitem__(self, index):
        return self.servers[index]

    def close(self):
        """Closes all of them."""
        while self.servers:
            self.servers.pop(0).close()

    def connect_all(self, service=VoidService, config={}):
        """Connects to each server, and returns the connections in the order of the machines."""
        return [server.connect(service, config) for server in self.servers]

    def classic_connect_all(self):
        """Connects to each server in classic mode, and returns the connections in the order of the machines."""
        return [server.classic_connect() for server in self.servers]


def _import_plumbum():
    try:
        import plumbum
        import plumbum.path.utils
    except ImportError as error:
        raise ImportError("zerodeploy needs plumbum: pip install plumbum") from error
    return plumbum


def _fill_in(server_script, server_class, service_class, extra_setup):
    for kind, name in (("SERVER", server_class), ("SERVICE", service_class)):
        module, _, cls = name.rpartition(".")
        server_script = server_script.replace(f"${kind}_MODULE$", module).replace(f"${kind}_CLASS$", cls)
    return server_script.replace("$EXTRA_SETUP$", extra_setup)


def _find_python(plumbum, machine, wanted):
    """The command that runs Python there."""
    if isinstance(wanted, plumbum.commands.base.BaseCommand):
        return wanted
    if wanted:
        return machine[wanted]
    for name in (f"python{sys.version_info[0]}.{sys.version_info[1]}", f"python{sys.version_info[0]}"):
        try:
            return machine[name]
        except plumbum.CommandNotFound:
            continue
    return machine.python


def _session_process(connection):
    """The ssh process of a plumbum machine or tunnel, or None: those of Paramiko have none."""
    return getattr(getattr(connection, "_session", None), "proc", None)


def _end(proc, timeout):
    """Ends a process, and waits for that."""
    if proc is None:
        return
    try:
        proc.terminate()
        proc.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        proc.kill()
        raise
    except (OSError, ValueError, EOFError):
        pass  # it has ended


def _quietly(function, *args):
    """Cleans up as far as possible."""
    try:
        function(*args)
    except Exception:
        pass  # the machine may be out of reach
