"""``laboratory_server.py PORT``"""

import sys

from pylablib.core.utils import rpyc_utils

rpyc_utils.run_device_service(port=int(sys.argv[1]))
