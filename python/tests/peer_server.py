"""A server program for tests: ``peer_server.py --impl netref|rpyc --service everyday|classic|extended``.

Prints its port and serves on 127.0.0.1 until its standard input ends, so that it does not outlive the tests.
"""

import argparse
import importlib
import json
import logging
import sys
import threading

from override_scenarios import extend_brine
from peer_services import everyday_service


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--impl", required=True)
    parser.add_argument("--service", required=True, choices=["everyday", "classic", "extended"])
    parser.add_argument("--config", type=json.loads, default={})
    options = parser.parse_args()
    logging.disable(logging.CRITICAL)  # tests provoke errors on purpose
    api = importlib.import_module(options.impl)
    server_module = importlib.import_module(f"{options.impl}.utils.server")
    service = api.SlaveService if options.service == "classic" else everyday_service(api)
    if options.service == "extended":
        extend_brine(importlib.import_module(f"{options.impl}.core.brine"))
    server = server_module.ThreadedServer(service, hostname="127.0.0.1", port=0, protocol_config=options.config)
    server.listener.listen()  # so that a client can connect as soon as it has read the port
    threading.Thread(target=server.start, daemon=True).start()
    print(server.port, flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
