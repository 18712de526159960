"""A program that is stuck, for pystuck to look at: ``stuck_program.py PORT``."""

import sys
import threading

import pystuck


def waits_for_ever(secret="the reason"):
    threading.Event().wait()


threading.Thread(target=waits_for_ever, name="stuck thread", daemon=True).start()
pystuck.run_server(port=int(sys.argv[1]))
sys.stdin.read()
