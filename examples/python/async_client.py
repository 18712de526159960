"""Calls that do not wait: several at once, callbacks when they are done, failures, and results that expire.

    python async_client.py [--host HOST] [--port PORT]

The server is time_server.py or time_server.rs.
"""

import argparse
import queue

import netref as rpyc


def main():
    parser = argparse.ArgumentParser(description="Makes calls to the time server without waiting for them.")
    parser.add_argument("--host", default="localhost")
    parser.add_argument("--port", type=int, default=18861)
    options = parser.parse_args()

    with rpyc.connect(options.host, options.port) as conn:
        wait = rpyc.async_(conn.root.wait)
        done = queue.Queue()
        results = [wait(seconds) for seconds in (0.6, 0.4, 0.2)]  # returns at once
        for result in results:
            result.add_callback(done.put)
        for _ in results:  # in the order in which they end
            print("Waited", done.get().value)

        failure = wait(-1)
        failure.wait()  # until it is there, however it went
        try:
            print("Failed:", failure.error)
            print(failure.value)
        except ValueError:
            print("Its value is the exception: ValueError")

        late = wait(2)
        late.set_expiry(0.1)  # rpyc.timed(conn.root.wait, 0.1) makes calls that expire
        try:
            print(late.value)
        except rpyc.AsyncResultTimeout:
            print("Expired:", late.expired)
        print("The connection goes on:", conn.root.now() > 0)


if __name__ == "__main__":
    main()
