"""What a program does with pylablib's remote devices: ``laboratory_client.py PORT``."""

import socket
import sys
import types

from pylablib.core.utils import net, rpyc_utils


class ListeningSocket(socket.socket):
    """pylablib tells the other side where to connect to before it listens there, and often loses that race, whoever serves it."""

    def bind(self, address):
        super().bind(address)
        self.listen()


net.socket = types.SimpleNamespace(**(vars(socket) | {"socket": ListeningSocket}))

service = rpyc_utils.connect_device_service("127.0.0.1", port=int(sys.argv[1]))
camera = service.get_device("instrument.Camera", 500)
frame = camera.grab()
local = rpyc_utils.obtain(frame, serv=service)
direct = rpyc_utils.obtain(frame)
print(type(local).__name__, local.shape, str(local.dtype), int(local[1, 2]), (local == direct).all(), frame.shape == local.shape)
print(sorted(rpyc_utils.obtain(camera.settings()).items()), camera.opened)
far = rpyc_utils.transfer(local * 2, service)
print(int(far[1, 2]), far.sum() == (local * 2).sum())
seen = []
camera.on_frame(seen.append)
camera.trigger()
print(seen)
