"""What a trading robot does with mt5linux: ``mt5.py PORT``."""

import sys

from mt5linux import MetaTrader5

mt5 = MetaTrader5("127.0.0.1", int(sys.argv[1]))
assert mt5.initialize() is True
print(tuple(mt5.version()), tuple(mt5.last_error()), mt5.symbols_total())
account = mt5.account_info()
print(account.login, account.balance, account.currency)
print(mt5.symbol_select("EURUSD", True), mt5.symbol_info_tick("EURUSD").bid, mt5.symbol_info_tick("NONE"))
rates = mt5.copy_rates_from_pos("EURUSD", mt5.TIMEFRAME_M1, 0, 100)
print(len(rates), rates["close"][:3].tolist(), float(rates["open"].mean()), rates.dtype.names)
mt5.shutdown()
