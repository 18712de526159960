"""Classic mode: using another Python as if it were here."""

import contextlib
import inspect
import os
import sys

from netref.core.consts import STREAM_CHUNK
from netref.core.service import ClassicService, ModuleNamespace, Slave
from netref.lib.compat import pickle
from netref.utils import factory, transfer

__all__ = [
    "DEFAULT_SERVER_PORT",
    "DEFAULT_SERVER_SSL_PORT",
    "MockClassicConnection",
    "ModuleNamespace",
    "SlaveService",
    "connect",
    "connect_channel",
    "connect_multiprocess",
    "connect_pipes",
    "connect_stdpipes",
    "connect_stream",
    "connect_subproc",
    "connect_thread",
    "deliver",
    "download",
    "download_dir",
    "download_file",
    "interact",
    "obtain",
    "pm",
    "redirected_stdio",
    "ssh_connect",
    "ssl_connect",
    "teleport_function",
    "unix_connect",
    "upload",
    "upload_dir",
    "upload_file",
    "upload_module",
    "upload_package",
]

DEFAULT_SERVER_PORT = 18812
DEFAULT_SERVER_SSL_PORT = 18821

SlaveService = ClassicService  # what both sides of a classic connection have offered each other ever since


def connect_channel(channel):
    """A classic connection over a channel. **Either side can run any code in the other**, here and in all that follow."""
    return factory.connect_channel(channel, SlaveService)


def connect_stream(stream):
    """A classic connection over a stream."""
    return factory.connect_stream(stream, SlaveService)


def connect_stdpipes():
    """A classic connection over this process's standard input and output."""
    return factory.connect_stdpipes(SlaveService)


def connect_pipes(input, output):
    """A classic connection over two pipes, one to read from and one to write to."""
    return factory.connect_pipes(input, output, SlaveService)


def connect(host, port=DEFAULT_SERVER_PORT, ipv6=False, keepalive=False):
    """Connects to a classic server over TCP.

    :param host: its name or address
    :param port: its port
    :param ipv6: whether to use IPv6
    :param keepalive: whether TCP shall ask now and then whether the server is there
    :raises OSError: if there is nobody to connect to
    """
    return factory.connect(host, port, SlaveService, ipv6=ipv6, keepalive=keepalive)


def unix_connect(path):
    """Connects to a classic server over the unix socket at ``path``."""
    return factory.unix_connect(path, SlaveService)


def ssl_connect(
    host,
    port=DEFAULT_SERVER_SSL_PORT,
    keyfile=None,
    certfile=None,
    ca_certs=None,
    cert_reqs=None,
    ssl_version=None,
    ciphers=None,
    ipv6=False,
):
    """Connects to a classic server over TLS. Parameters as for :func:`netref.utils.factory.ssl_connect`."""
    return factory.ssl_connect(
        host,
        port,
        keyfile=keyfile,
        certfile=certfile,
        ca_certs=ca_certs,
        cert_reqs=cert_reqs,
        ssl_version=ssl_version,
        ciphers=ciphers,
        service=SlaveService,
        ipv6=ipv6,
    )


def ssh_connect(remote_machine, remote_port):
    """Connects to a classic server through a tunnel to a plumbum machine. See :func:`netref.utils.factory.ssh_connect`."""
    return factory.ssh_connect(remote_machine, remote_port, SlaveService)


def connect_subproc(server_file=None):
    """Starts a classic server as a child process and connects to it over its standard input and output.

    :param server_file: the script to run, with the options of ``rpyc_classic``; netref's own server by default
    """
    server = ["-m", "netref.cli.rpyc_classic"] if server_file is None else [server_file]
    return factory.connect_subproc([sys.executable, "-u", *server, "-q", "-m", "stdio"], SlaveService)


def connect_thread():
    """Starts a classic server on a thread of this process and connects to it."""
    return factory.connect_thread(SlaveService, remote_service=SlaveService)


def connect_multiprocess(args={}):
    """Starts a classic server with :mod:`multiprocessing` and connects to it.

    :param args: what its namespace has from the beginning
    """
    return factory.connect_multiprocess(SlaveService, remote_service=SlaveService, args=args)


def upload(conn, localpath, remotepath, filter=None, ignore_invalid=False, chunk_size=STREAM_CHUNK, *, progress=None):
    """Copies a file, or a directory with all that is in it, to the other side. Several chunks of a file are under way at a time,
    if the other side can write them at their places.

    :param filter: called with the name of each entry of a directory, says whether to copy it; all by default
    :param ignore_invalid: whether to skip what is neither a file nor a directory, and links to a directory that they are in, by
        which there is no end; in a directory, they are skipped in any case
    :param chunk_size: bytes of a message: 1 MiB at most, and between netref peers also by default
    :param progress: True for a bar on the terminal for each file, if standard error is one; or a function to call now and then
        with the bytes copied, all bytes (None while that is not known) and the path of the file that is copied
    :raises ValueError: if ``localpath`` is neither, and that is not to be ignored
    """
    if os.path.isdir(localpath):
        if ignore_invalid and transfer.leads_back(os.path, localpath):
            return
        upload_dir(conn, localpath, remotepath, filter, chunk_size, progress=progress)
    elif os.path.isfile(localpath):
        upload_file(conn, localpath, remotepath, chunk_size, progress=progress)
    elif not ignore_invalid:
        raise ValueError(f"cannot upload {localpath!r}")


def upload_file(conn, localpath, remotepath, chunk_size=STREAM_CHUNK, *, progress=None):
    """Copies a file to the other side. Parameters as for :func:`upload`."""
    transfer.upload_file(conn, localpath, remotepath, chunk_size, transfer.reporter(progress, localpath))


def upload_dir(conn, localpath, remotepath, filter=None, chunk_size=STREAM_CHUNK, *, progress=None):
    """Copies a directory to the other side, into a directory that may exist. Parameters as for :func:`upload`."""
    path = conn.modules.os.path
    if not path.isdir(remotepath):
        conn.modules.os.makedirs(remotepath)
    for name in os.listdir(localpath):
        if filter is None or filter(name):
            target = path.join(remotepath, name)
            upload(conn, os.path.join(localpath, name), target, filter, True, chunk_size, progress=progress)


def download(conn, remotepath, localpath, filter=None, ignore_invalid=False, chunk_size=STREAM_CHUNK, *, progress=None):
    """Copies a file, or a directory with all that is in it, from the other side. Parameters as for :func:`upload`."""
    path = conn.modules.os.path
    if path.isdir(remotepath):
        if ignore_invalid and transfer.leads_back(path, remotepath):
            return
        download_dir(conn, remotepath, localpath, filter, chunk_size, progress=progress)
    elif path.isfile(remotepath):
        download_file(conn, remotepath, localpath, chunk_size, progress=progress)
    elif not ignore_invalid:
        raise ValueError(f"cannot download {remotepath!r}")


def download_file(conn, remotepath, localpath, chunk_size=STREAM_CHUNK, *, progress=None):
    """Copies a file from the other side. Parameters as for :func:`upload`."""
    transfer.download_file(conn, remotepath, localpath, chunk_size, transfer.reporter(progress, remotepath))


def download_dir(conn, remotepath, localpath, filter=None, chunk_size=STREAM_CHUNK, *, progress=None):
    """Copies a directory from the other side, into a directory that may exist. Parameters as for :func:`upload`."""
    os.makedirs(localpath, exist_ok=True)
    for name in conn.modules.os.listdir(remotepath):
        transfer.check_name(name)
        if filter is None or filter(name):
            source = conn.modules.os.path.join(remotepath, name)
            download(conn, source, os.path.join(localpath, name), filter, True, chunk_size, progress=progress)


def upload_package(conn, module, remotepath=None, chunk_size=STREAM_CHUNK, *, progress=None):
    """Copies the directory that a module's source file is in to the other side.

    :param module: the module, usually a package
    :param remotepath: the directory to copy to; by default one named like the module among the other side's libraries
    :param chunk_size: bytes of a message
    :param progress: as for :func:`upload`
    """
    if remotepath is None:
        libraries = conn.modules.sysconfig.get_path("purelib")
        remotepath = conn.modules.os.path.join(libraries, module.__name__)
    directory = os.path.dirname(os.path.abspath(inspect.getsourcefile(module)))
    upload(conn, directory, remotepath, chunk_size=chunk_size, progress=progress)


upload_module = upload_package


def obtain(proxy):
    """A local copy of a remote object, by pickle, which both sides have to allow."""
    return pickle.loads(pickle.dumps(proxy))


def deliver(conn, localobj):
    """A remote copy of a local object, by pickle, which the other side has to allow.

    :returns: a proxy of the copy
    """
    return conn.modules["rpyc.lib.compat"].pickle.loads(pickle.dumps(localobj))


def teleport_function(conn, func, globals=None, def_=True):
    """Makes a copy of a function on the other side, where it then runs. Both need the same version of Python.

    :param func: the function. Its defaults and constants must be plain data, it must use no variables of a function around it,
        and has to import the modules that it uses
    :param globals: the other side's dictionary for its globals; that side's namespace by default
    :param def_: whether to put the function into that dictionary under its name
    :returns: a proxy of the copy
    :raises TypeError: if the function cannot travel, or the other side has another version of Python
    """
    from netref.utils.teleportation import export_function  # seldom needed

    exported = export_function(func)
    here, there = (version >> 16 for version in (sys.hexversion, conn.modules.sys.hexversion))
    if here != there:  # code of another version does not raise errors there: it crashes the process
        raise TypeError(f"Python {there >> 8}.{there & 255} cannot run a function from Python {here >> 8}.{here & 255}")
    namespace = conn.namespace if globals is None else globals
    return conn.modules["rpyc.utils.teleportation"].import_function(exported, namespace, def_)


@contextlib.contextmanager
def redirected_stdio(conn):
    """Within the ``with`` block, the other side reads from this side's standard input, and writes to its output and error."""
    theirs = conn.modules.sys
    names = ("stdin", "stdout", "stderr")
    originals = [(name, getattr(theirs, name)) for name in names]
    try:
        for name in names:
            setattr(theirs, name, getattr(sys, name))
        yield
    finally:
        for name, original in originals:
            setattr(theirs, name, original)


def pm(conn):
    """Looks with :mod:`pdb` into the exception that the other side raised last."""
    with redirected_stdio(conn):
        conn.modules.pdb.post_mortem(conn.root.getconn()._last_traceback)


def interact(conn, namespace=None):
    """An interactive interpreter on the other side, at this side's terminal.

    :param namespace: the variables that it has, to which ``conn`` is added
    """
    namespace = {} if namespace is None else namespace
    namespace["conn"] = conn
    with redirected_stdio(conn):
        conn.execute("def _rinteract(ns):\n    import code\n    code.interact(local=dict(ns))")
        conn.namespace["_rinteract"](namespace)


class MockClassicConnection:
    """Looks like a classic connection, and does everything in this process."""

    def __init__(self):
        self.root = Slave()
        ClassicService._install(self, self.root)
