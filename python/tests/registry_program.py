"""A registry for tests: ``registry_program.py IMPLEMENTATION UDP|TCP``. Prints its port, serves until its standard input ends."""

import importlib
import logging
import sys
import threading

if __name__ == "__main__":
    implementation, kind = sys.argv[1:]
    logging.disable(logging.CRITICAL)
    registry = importlib.import_module(f"{implementation}.utils.registry")
    server = getattr(registry, f"{kind}RegistryServer")("127.0.0.1", port=0, allow_listing=True)
    threading.Thread(target=server.start, daemon=True).start()
    print(server.port, flush=True)
    sys.stdin.read()
