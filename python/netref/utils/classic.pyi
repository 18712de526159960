from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from types import ModuleType
from typing import IO, Any

from netref.core.channel import Channel
from netref.core.protocol import Connection
from netref.core.service import ClassicService as ClassicService
from netref.core.service import ModuleNamespace as ModuleNamespace
from netref.core.stream import Stream

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

DEFAULT_SERVER_PORT: int
DEFAULT_SERVER_SSL_PORT: int
SlaveService = ClassicService

_Filter = Callable[[str], bool] | None
_Progress = Callable[[int, int | None, str], object] | bool | None

def connect_channel(channel: Channel) -> Connection: ...
def connect_stream(stream: Stream) -> Connection: ...
def connect_stdpipes() -> Connection: ...
def connect_pipes(input: IO[bytes], output: IO[bytes]) -> Connection: ...
def connect(host: str, port: int = ..., ipv6: bool = False, keepalive: bool | float = False) -> Connection: ...
def unix_connect(path: str) -> Connection: ...
def ssl_connect(
    host: str,
    port: int = ...,
    keyfile: str | None = None,
    certfile: str | None = None,
    ca_certs: str | None = None,
    cert_reqs: int | None = None,
    ssl_version: int | None = None,
    ciphers: str | None = None,
    ipv6: bool = False,
) -> Connection: ...
def ssh_connect(remote_machine: Any, remote_port: int) -> Connection: ...
def connect_subproc(server_file: str | None = None) -> Connection: ...
def connect_thread() -> Connection: ...
def connect_multiprocess(args: Mapping[str, Any] = {}) -> Connection: ...
def upload(
    conn: Connection,
    localpath: str,
    remotepath: str,
    filter: _Filter = None,
    ignore_invalid: bool = False,
    chunk_size: int = ...,
    *,
    progress: _Progress = None,
) -> None: ...
def upload_file(
    conn: Connection, localpath: str, remotepath: str, chunk_size: int = ..., *, progress: _Progress = None
) -> None: ...
def upload_dir(
    conn: Connection,
    localpath: str,
    remotepath: str,
    filter: _Filter = None,
    chunk_size: int = ...,
    *,
    progress: _Progress = None,
) -> None: ...
def download(
    conn: Connection,
    remotepath: str,
    localpath: str,
    filter: _Filter = None,
    ignore_invalid: bool = False,
    chunk_size: int = ...,
    *,
    progress: _Progress = None,
) -> None: ...
def download_file(
    conn: Connection, remotepath: str, localpath: str, chunk_size: int = ..., *, progress: _Progress = None
) -> None: ...
def download_dir(
    conn: Connection,
    remotepath: str,
    localpath: str,
    filter: _Filter = None,
    chunk_size: int = ...,
    *,
    progress: _Progress = None,
) -> None: ...
def upload_package(
    conn: Connection, module: ModuleType, remotepath: str | None = None, chunk_size: int = ..., *, progress: _Progress = None
) -> None: ...

upload_module = upload_package

def obtain(proxy: Any) -> Any: ...
def deliver(conn: Connection, localobj: Any) -> Any: ...
def teleport_function(
    conn: Connection, func: Callable[..., Any], globals: dict[str, Any] | None = None, def_: bool = True
) -> Any: ...
def redirected_stdio(conn: Connection) -> AbstractContextManager[None]: ...
def pm(conn: Connection) -> None: ...
def interact(conn: Connection, namespace: dict[str, Any] | None = None) -> None: ...

class MockClassicConnection:
    root: Any
    modules: ModuleNamespace
    def __init__(self) -> None: ...
