"""Stock's brine behind a pipe: a line ``dump|load <pickle as hex>`` in, ``<pickle as hex>`` out. Runs under stock's Python."""

import pickle
import sys

from rpyc.core import brine

sys.set_int_max_str_digits(0)

for line in sys.stdin:
    operation, argument = line.split()
    value = pickle.loads(bytes.fromhex(argument))
    try:
        outcome = (True, getattr(brine, operation)(value))
    except Exception as error:
        outcome = (False, type(error).__name__)
    print(pickle.dumps(outcome, protocol=4).hex(), flush=True)
