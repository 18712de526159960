"""A server program for tests: ``peer_server.py --impl netref|rpyc --service everyday|classic|extended|hard``.

Prints its port and serves on 127.0.0.1, and on a unix socket if one is named, until its standard input ends, so that it does not
outlive the tests. With ``--pipes`` it serves one client instead, through its standard input and output.
"""

import argparse
import importlib
import json
import logging
import sys
import threading

from hard_case_service import hard_service
from override_scenarios import extend_brine
from peer_services import everyday_service


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--impl", required=True)
    parser.add_argument("--service", required=True, choices=["everyday", "classic", "extended", "hard"])
    parser.add_argument("--unix")
    parser.add_argument("--pipes", action="store_true")
    parser.add_argument("--config", type=json.loads, default={})
    options = parser.parse_args()
    logging.disable(logging.CRITICAL)  # tests provoke errors on purpose
    api = importlib.import_module(options.impl)
    server_module = importlib.import_module(f"{options.impl}.utils.server")
    if options.service == "extended":
        extend_brine(importlib.import_module(f"{options.impl}.core.brine"))
    make = {"classic": lambda api: api.SlaveService, "hard": hard_service}
    service = make.get(options.service, everyday_service)(api)
    if options.pipes:
        importlib.import_module(f"{options.impl}.utils.factory").connect_stdpipes(service, options.config).serve_all()
        return
    places = [{"hostname": "127.0.0.1", "port": 0}]
    if options.unix:
        places.insert(0, {"socket_path": options.unix})
    for place in places:
        server = server_module.ThreadedServer(service, protocol_config=options.config, **place)
        server.listener.listen()  # so that a client can connect as soon as it has read the port
        threading.Thread(target=server.start, daemon=True).start()
    print(server.port, flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
