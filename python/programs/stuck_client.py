"""What one does with pystuck, but for the interactive shell: ``stuck_client.py PORT``."""

import sys
from unittest import mock

import pystuck

pystuck.run_client(port=int(sys.argv[1]), stacks=True, ipython=False)
with mock.patch("rpyc.utils.classic.connect", wraps=__import__("rpyc").utils.classic.connect) as connect:
    conn = connect("127.0.0.1", int(sys.argv[1]))
modules = conn.modules
frames = modules.sys._current_frames()
names = {thread.name: thread.ident for thread in modules.threading.enumerate()}
frame = frames[names["stuck thread"]]
while frame.f_code.co_name != "waits_for_ever":
    frame = frame.f_back
print("found", frame.f_locals["secret"], modules["__main__"].pystuck.__name__)
