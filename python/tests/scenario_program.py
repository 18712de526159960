"""Runs one scenario: ``scenario_program.py IMPLEMENTATION MODULE SCENARIO ARGUMENT ...``. See ``pairings.py``."""

import importlib
import sys

if __name__ == "__main__":
    implementation, module, scenario, *arguments = sys.argv[1:]
    getattr(importlib.import_module(module), scenario)(importlib.import_module(implementation), *arguments)
