"""RPyC over RPyC: a process in between has connections to both."""

from scenarios.host import raises


def _far_end(side):
    class End(side.rpyc.Service):
        def exposed_list(self):
            return [1, 2, 3]

        def exposed_apply(self, function, *args):
            return function(*args)

        def exposed_fail(self):
            raise LookupError("far end")

        def exposed_is_list(self, value):
            return isinstance(value, list), type(value).__name__, len(value)

        def exposed_echo(self, value):
            return value

        def exposed_thing(self):
            return _Thing(5)

    return side.serve(End, protocol_config={"allow_public_attrs": True, "allow_setattr": True})


class _Thing:
    def __init__(self, value):
        self.value = value

    def __add__(self, other):
        return self.value + other

    def __iter__(self):
        return iter(range(self.value))

    def __call__(self, x):
        return x, self.value

    def __enter__(self):
        return self

    def __exit__(self, *args):
        self.value = "exited"


def _middle(side, port):
    """A server that offers what it got from another, for which it is a client."""
    rpyc = side.rpyc

    class Middle(rpyc.Service):
        def on_connect(self, conn):
            self.onward = rpyc.connect("127.0.0.1", port, config={"allow_public_attrs": True})

        def on_disconnect(self, conn):
            self.onward.close()

        def exposed_end(self):
            return self.onward.root

    return side.serve(Middle, protocol_config={"allow_public_attrs": True, "allow_setattr": True})


def _through(side):
    """The far end's root, by way of a server in the middle that runs in the other process, as the far end does in this one."""
    port = _far_end(side)
    return side.connect(side.far(_middle, port), config={"allow_public_attrs": True}).root.end()


def objects_of_the_far_end(side):
    end = _through(side)
    numbers = end.list()
    assert list(numbers) == [1, 2, 3] and len(numbers) == 3 and numbers[1] == 2 and 3 in numbers
    numbers.append(4)
    assert numbers[-1] == 4 and repr(numbers) == "[1, 2, 3, 4]" and isinstance(numbers, list)
    thing = end.thing()
    assert thing + 1 == 6 and list(thing) == [0, 1, 2, 3, 4] and thing("x") == ("x", 5)
    thing.value = 2
    assert thing.value == 2
    with thing as entered:
        assert entered.value == 2
    assert thing.value == "exited"
    assert "value" in dir(thing)


def objects_that_come_back(side):
    end = _through(side)
    numbers = end.list()
    assert list(end.echo(numbers)) == [1, 2, 3]
    assert end.is_list(numbers)[0] is True and end.is_list(numbers)[2] == 3
    mine = [5, 6]
    assert list(end.echo(mine)) == [5, 6]
    assert end.is_list(mine) == (True, end.is_list(mine)[1], 2)


def callbacks_through_the_middle(side):
    end = _through(side)
    seen = []
    assert end.apply(lambda x: seen.append(x) or x * 2, 21) == 42 and seen == [21]
    assert end.apply(end.apply, lambda x: x + 1, 1) == 2


def exceptions_through_the_middle(side):
    end = _through(side)
    error = raises(LookupError, end.fail)
    assert error.args == ("far end",) and "Remote Traceback (2)" in str(error)

    def fail():
        raise ArithmeticError("near end")

    assert raises(ArithmeticError, end.apply, fail).args == ("near end",)
    raises(AttributeError, getattr, end, "_private")


def _classic(side):
    return side.serve(side.rpyc.SlaveService)


def classic_over_classic(side):
    port = _classic(side)
    near = side.rpyc.classic.connect("127.0.0.1", side.far(_classic))
    far = near.modules["rpyc.utils.classic" if side.name == "rpyc" else "rpyc"]
    connect = far.connect if side.name == "rpyc" else far.classic.connect
    onward = connect("127.0.0.1", port)
    assert onward.modules.os.getpid() == __import__("os").getpid()
    onward.execute("def double(x): return 2 * x")
    assert onward.namespace["double"](4) == 8 and onward.eval("double(5)") == 10
    assert list(onward.builtins.sorted([3, 1, 2])) == [1, 2, 3]
    assert onward.builtins.list(range(3))[2] == 2
    assert onward.modules.sys.version_info[0] == 3
    raises(ZeroDivisionError, onward.eval, "1/0")
    onward.close()
    near.close()
