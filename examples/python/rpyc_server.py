import sys

import netref as rpyc

class MyService(rpyc.Service):
    def exposed_line_counter(self, fileobj, function):
        for linenum, line in enumerate(fileobj.readlines()):
            function(line)
        return linenum + 1

from netref.utils.server import ThreadedServer
t = ThreadedServer(MyService, port = int(sys.argv[1]) if len(sys.argv) > 1 else 18861)
t.start()
