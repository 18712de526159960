"""A web application with rpyc-ws in it: ``web_socket_server.py PORT``."""

import sys
import threading

import uvicorn
from rpyc_ws import create_rpyc_fastapi_app

server = uvicorn.Server(uvicorn.Config(create_rpyc_fastapi_app(), host="127.0.0.1", port=int(sys.argv[1]), log_level="error"))
threading.Thread(target=server.run, daemon=True).start()
sys.stdin.read()
