"""What a program does with rpyc-ws: ``web_socket_client.py PORT``."""

import os
import sys

from rpyc_ws import connect_ws

conn = connect_ws(f"ws://127.0.0.1:{sys.argv[1]}/rpyc-ws/")
assert conn.modules.os.getpid() != os.getpid()
conn.execute("def twice(function, x):\n    return function(x) + function(x)")
print(conn.eval("6 * 7"), conn.namespace["twice"](lambda x: x * 10, 2), len(conn.eval("b'x' * 200_000")))
print(sum(conn.builtins.range(50)), conn.builtins.sorted([3, 1, 2])[0])
try:
    conn.eval("1 / 0")
except ZeroDivisionError as error:
    print("raised", error.args[0])
conn.close()
