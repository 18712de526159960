"""Connecting to a service by its name, with the help of a registry."""

import socket

from netref.core.service import VoidService
from netref.utils.registrars import UDPRegistryClient


class DiscoveryError(Exception):
    """Nobody serves what was asked for, or nobody who can be connected to."""


class ForbiddenError(Exception):
    """The registry does not allow that."""


def discover(service_name, host=None, registrar=None, timeout=2):
    """Who serves ``service_name``.

    :param host: the only host to consider; all by default
    :param registrar: the registry client to ask; by default one that asks everybody on this network
    :param timeout: seconds to wait for the answer, if no registrar is given
    :returns: a sequence of (host, port), the one that has not registered for longest first
    :raises DiscoveryError: if nobody does
    """
    if registrar is None:
        registrar = UDPRegistryClient(timeout=timeout)
    servers = registrar.discover(service_name)
    if not servers:
        raise DiscoveryError(f"no servers exposing {service_name!r} were found")
    if host:
        addresses = socket.gethostbyname_ex(host)[2]
        servers = [server for server in servers if server[0] in addresses]
        if not servers:
            raise DiscoveryError(f"no servers exposing {service_name!r} were found on {host!r}")
    return servers


def list_services(registrar=None, filter_host=None, timeout=2):
    """The names of all services.

    :param registrar: the registry client to ask; by default one that asks everybody on this network
    :param filter_host: the address of the only host to consider
    :param timeout: seconds to wait for the answer, if no registrar is given
    :raises ForbiddenError: if the registry does not allow it
    """
    if registrar is None:
        registrar = UDPRegistryClient(timeout=timeout)
    services = registrar.list(filter_host)
    if services is None:
        raise ForbiddenError("Registry doesn't allow listing")
    return services


def connect_by_service(service_name, host=None, registrar=None, timeout=2, service=VoidService, config={}):
    """Connects to the first server of ``service_name`` that can be connected to.

    :param service: what the server gets from this side
    :param config: settings, see :data:`netref.core.protocol.DEFAULT_CONFIG`
    :raises DiscoveryError: if there is none

    The other parameters are those of :func:`discover`.
    """
    from netref.utils import factory  # which offers this function, too

    servers = discover(service_name, host=host, registrar=registrar, timeout=timeout)
    failure = None
    for server_host, port in servers:
        try:
            return factory.connect(server_host, port, service, config=config)
        except (OSError, ValueError, OverflowError) as error:  # nobody there, or no address that anybody could be at
            failure = error
    raise DiscoveryError(f"All services are down: {servers}") from failure
