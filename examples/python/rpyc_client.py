import sys

import netref as rpyc

def noisy(string):
    print('Noisy:', repr(string))

port = int(sys.argv[1]) if len(sys.argv) > 1 else 18861
path = sys.argv[2] if len(sys.argv) > 2 else 'testfile.txt'

proxy = rpyc.connect('localhost', port, config={'allow_public_attrs': True})
fileobj = open(path)
linecount = proxy.root.line_counter(fileobj, noisy)
print('The number of lines in the file was', linecount)
