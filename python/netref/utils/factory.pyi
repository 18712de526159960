from collections.abc import Mapping, Sequence
from typing import IO, Any

from netref.core.channel import Channel
from netref.core.protocol import Connection
from netref.core.service import Service
from netref.core.stream import Stream

_Service = type[Service] | Service
_Config = Mapping[str, Any]

def connect_channel(channel: Channel, service: _Service = ..., config: _Config = {}) -> Connection: ...
def connect_stream(stream: Stream, service: _Service = ..., config: _Config = {}) -> Connection: ...
def connect_pipes(input: IO[bytes], output: IO[bytes], service: _Service = ..., config: _Config = {}) -> Connection: ...
def connect_stdpipes(service: _Service = ..., config: _Config = {}) -> Connection: ...
def connect(
    host: str,
    port: int,
    service: _Service = ...,
    config: _Config = {},
    ipv6: bool = False,
    keepalive: bool | float = False,
    *,
    timeout: float | None = None,
) -> Connection: ...
def unix_connect(path: str, service: _Service = ..., config: _Config = {}, *, timeout: float | None = None) -> Connection: ...
def ssl_connect(
    host: str,
    port: int,
    keyfile: str | None = None,
    certfile: str | None = None,
    ca_certs: str | None = None,
    cert_reqs: int | None = None,
    ssl_version: int | None = None,
    ciphers: str | None = None,
    service: _Service = ...,
    config: _Config = {},
    ipv6: bool = False,
    keepalive: bool | float = False,
    verify_mode: int | None = None,
    *,
    timeout: float | None = None,
) -> Connection: ...
def ssh_connect(remote_machine: Any, remote_port: int, service: _Service = ..., config: _Config = {}) -> Connection: ...
def connect_subproc(args: Sequence[str], service: _Service = ..., config: _Config = {}) -> Connection: ...
def connect_thread(
    service: _Service = ..., config: _Config = {}, remote_service: _Service = ..., remote_config: _Config = {}
) -> Connection: ...
def connect_multiprocess(
    service: _Service = ...,
    config: _Config = {},
    remote_service: _Service = ...,
    remote_config: _Config = {},
    args: Mapping[str, Any] = {},
) -> Connection: ...
def __getattr__(name: str) -> Any: ...
