"""Client worker for the two Python implementations: `client.py --impl rpyc|netref`, driven by run.py."""

import argparse
import importlib

import calls
import worker


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--impl", choices=("rpyc", "netref"), required=True)
    wire = worker.Wire()
    rpyc = importlib.import_module(parser.parse_args().impl)
    wire.announce(rpyc.__version__)
    worker.run_commands(wire, lambda command: calls.prepare(rpyc, command))


if __name__ == "__main__":
    main()
