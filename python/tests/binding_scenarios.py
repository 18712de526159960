"""Programs that bind threads. Each gets the package and the port of an everyday server, which does too."""

import threading


def _connect(api, port):
    return api.connect("127.0.0.1", int(port), config={"bind_threads": True})


def calls_and_callbacks(api, port):
    with _connect(api, port) as conn:
        assert conn.root.add(1, 2) == 3
        assert conn.root.call(lambda x: x * 2, 4) == 8
        assert list(conn.root.make("list")) == [1, 2, 3]
        later = api.async_(conn.root.add)(5, 6)
        assert later.value == 11
        conn.ping()
        try:
            getattr(conn.root, "raise")("KeyError", "k")
        except KeyError:
            pass
        else:
            raise AssertionError("nothing was raised")


def nested_callbacks_run_on_the_thread_that_waits(api, port):
    with _connect(api, port) as conn:
        me = threading.get_ident()

        def partner(bounce, depth):
            assert threading.get_ident() == me
            return 0 if depth == 0 else 1 + bounce(partner, depth - 1)

        assert conn.root.bounce(partner, 9) == 9


def each_thread_gets_its_own_callbacks(api, port):
    with _connect(api, port) as conn:
        root = conn.root
        call = root.call
        failures = []

        def work(number):
            me = threading.get_ident()
            for step in range(20):
                if call(lambda x: (threading.get_ident() == me, x), (number, step)) != (True, (number, step)):
                    failures.append((number, step))

        threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failures == []


def threads_of_the_server_do_not_wait_for_each_other(api, port):
    """Two threads of the server call this side at once, and one call waits for the other (RPyC's issue 491)."""
    with _connect(api, port) as conn:
        event = threading.Event()
        conn.root.side_by_side(lambda: event.wait(20) and None, event.set)
        assert event.is_set()
