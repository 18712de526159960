"""Takes the place of a trading terminal's package, which is for Windows only."""

import collections

import numpy

TIMEFRAME_M1 = 1
_Tick = collections.namedtuple("Tick", "time bid ask last volume")
_Account = collections.namedtuple("AccountInfo", "login balance currency")
_ready = False


def initialize(*args, **kwargs):
    global _ready
    _ready = True
    return True


def shutdown():
    return True


def version():
    return (500, 2367, "23 Mar 2020")


def last_error():
    return (1, "Success")


def account_info():
    return _Account(25115284, 99588.33, "USD") if _ready else None


def symbols_total():
    return 3


def symbol_select(symbol, enable=None):
    return symbol == "EURUSD"


def symbol_info_tick(symbol):
    return _Tick(1585070338, 1.17264, 1.17279, 0.0, 0) if symbol == "EURUSD" else None


def copy_rates_from_pos(symbol, timeframe, start, count):
    kind = [("time", "i8"), ("open", "f8"), ("close", "f8"), ("tick_volume", "u8")]
    return numpy.array([(1585000000 + 60 * i, 1 + i / 10, 2 + i / 10, i) for i in range(start, start + count)], dtype=kind)
