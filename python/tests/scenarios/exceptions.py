"""Exceptions on their way: their types under each setting, their text and attributes, and how they end iterations and blocks."""

import sys
import traceback

from scenarios.host import raises
from scenarios.objects import CustomError


def _serve(side, config={}):
    class OnlyThere(ValueError):
        def __init__(self, text, code):
            super().__init__(text, code)
            self.code = code
            self.things = [1]

        def __str__(self):
            return f"<{self.args[0]}>"

    OnlyThere.__module__ = "module_that_is_only_there"

    def deep(depth):
        if depth:
            return deep(depth - 1)
        raise ZeroDivisionError("at the bottom")

    class Raises(side.rpyc.Service):
        def exposed_custom(self):
            raise CustomError("known", 5)

        def exposed_only_there(self):
            raise OnlyThere("text", 7)

        def exposed_builtin(self, name, *args):
            import builtins

            raise getattr(builtins, name)(*args)

        def exposed_deep(self):
            return deep(3)

        def exposed_chained(self):
            try:
                deep(0)
            except ZeroDivisionError as error:
                raise KeyError("second") from error

        def exposed_call(self, function, *args):
            return function(*args)

        def exposed_caught(self, function):
            try:
                return function()
            except Exception as error:
                return type(error).__name__, isinstance(error, ValueError), error.args[0]

        def exposed_generate(self, count):
            yield from range(count)

        def exposed_failing(self):
            yield 1
            raise LookupError("in the middle")

        def exposed_manager(self):
            return _Manager()

        def exposed_echo(self, value):
            return value

        def exposed_system_exit(self):
            raise SystemExit("leaving")

        def exposed_interrupt(self):
            raise KeyboardInterrupt("interrupted")

    return side.serve(Raises, protocol_config=config)


class _Manager:
    exposed_seen = None

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        self.exposed_seen = getattr(kind, "__name__", None)
        return None


def types_of_exceptions(side):
    root = side.connect(side.far(_serve)).root
    for name, args in [
        ("ValueError", ("text", 1)),
        ("KeyError", ("k",)),
        ("OSError", (2, "No such file")),
        ("StopIteration", ()),
        ("UnicodeDecodeError", ("utf8", b"x", 0, 1, "why")),
        ("TypeError", ()),
        ("NotImplementedError", ("later",)),
        ("AttributeError", ("a",)),
        ("EOFError", ("end",)),
        ("SyntaxError", ("bad",)),
        ("MemoryError", ()),
        ("RecursionError", ("deep",)),
        ("Warning", ("careful",)),
        ("AssertionError", ((1, "tuple"),)),
    ]:
        kind = getattr(__import__("builtins"), name)
        error = raises(kind, root.builtin, name, *args)
        assert isinstance(error, kind) and kind in type(error).__mro__[:3], type(error).__mro__
        assert error.args == args, (name, error.args)


def exceptions_that_are_known_here(side):
    conn = side.connect(side.far(_serve))
    error = raises(side.rpyc.core.vinegar.GenericException, conn.root.custom)
    assert not isinstance(error, CustomError)
    assert type(error).__name__ == "scenarios.objects.CustomError", type(error)
    assert error.args == ("known",) and error.code == 5
    conn._config["instantiate_custom_exceptions"] = True
    error = raises(CustomError, conn.root.custom)
    assert error.code == 5 and error.args == ("known",)
    conn._config["instantiate_custom_exceptions"] = False
    raises(side.rpyc.GenericException, conn.root.custom)


def exceptions_that_are_unknown_here(side):
    for config in ({}, {"instantiate_custom_exceptions": True}, {"import_custom_exceptions": True}):
        conn = side.connect(side.far(_serve), config=config)
        error = raises(side.rpyc.GenericException, conn.root.only_there)
        assert type(error).__name__ == "module_that_is_only_there.OnlyThere"
        assert error.args == ("text", 7) and error.code == 7 and isinstance(error, Exception)
        assert isinstance(error.things, str) or list(error.things) == [1]
        again = raises(side.rpyc.GenericException, conn.root.only_there)
        assert type(again) is type(error)


def modules_imported_for_exceptions(side):
    conn = side.connect(side.far(_serve_far_module), config={"instantiate_custom_exceptions": True})
    sys.modules.pop("this_module_is_rare", None)
    sys.modules.pop("wsgiref.validate", None)
    raises(side.rpyc.GenericException, conn.root.fail)
    assert "wsgiref.validate" not in sys.modules
    conn._config["import_custom_exceptions"] = True
    error = raises(Warning, conn.root.fail)
    assert "wsgiref.validate" in sys.modules and isinstance(error, sys.modules["wsgiref.validate"].WSGIWarning)


def _serve_far_module(side):
    class Raises(side.rpyc.Service):
        def exposed_fail(self):
            import wsgiref.validate

            raise wsgiref.validate.WSGIWarning("rare")

    return side.serve(Raises)


def the_traceback_from_there(side):
    root = side.connect(side.far(_serve)).root
    error = raises(ZeroDivisionError, root.deep)
    text = str(error)
    assert text.startswith("at the bottom"), text
    assert "========= Remote Traceback (1) =========" in text and "in deep" in text and "exceptions.py" in text
    assert error.args == ("at the bottom",)
    assert "in deep" in error._remote_tb and error._remote_tb in text
    vinegar = side.rpyc.core.vinegar
    assert vinegar.REMOTE_LINE.format(1) in text and vinegar.REMOTE_LINE.startswith(vinegar.REMOTE_LINE_START)
    assert vinegar.REMOTE_LINE.endswith(vinegar.REMOTE_LINE_END)
    assert error._remote_version.startswith("6.")
    shown = "".join(traceback.format_exception(type(error), error, error.__traceback__))
    assert "Remote Traceback" in shown and "in raises" in shown


def tracebacks_can_be_kept_secret(side):
    root = side.connect(side.far(_serve, {"include_local_traceback": False, "include_local_version": False})).root
    error = raises(ZeroDivisionError, root.deep)
    assert "in deep" not in str(error) and "<traceback denied>" in str(error)
    assert error._remote_tb == "<traceback denied>" and error._remote_version == "<version denied>"


def tracebacks_of_several_hops(side):
    root = side.connect(side.far(_serve)).root

    def fail():
        raise RuntimeError("began here")

    error = raises(RuntimeError, root.call, root.call, fail)
    text = str(error)
    assert "Remote Traceback (1)" in text and "Remote Traceback (2)" in text and "in fail" in text
    assert text.startswith("began here") and error.args == ("began here",)


def what_the_other_side_catches(side):
    root = side.connect(side.far(_serve)).root

    def fail():
        raise UnicodeError("of here")

    assert tuple(root.caught(fail)) == ("UnicodeError", True, "of here")

    class Mine(ValueError):
        pass

    def fail_with_mine():
        raise Mine("mine")

    name, is_value_error, text = root.caught(fail_with_mine)
    assert name.endswith("Mine") and not is_value_error and text == "mine"


def causes_are_in_the_text(side):
    error = raises(KeyError, side.connect(side.far(_serve)).root.chained)
    assert error.args == ("second",) and "at the bottom" in str(error)


def iterations_end(side):
    root = side.connect(side.far(_serve)).root
    assert list(root.generate(3)) == [0, 1, 2]
    generator = root.generate(1)
    assert next(generator) == 0
    raises(StopIteration, next, generator)
    assert next(generator, "default") == "default"
    failing = root.failing()
    assert next(failing) == 1
    raises(LookupError, next, failing)
    raises(StopIteration, next, failing)
    assert [*root.generate(0)] == [] and sum(root.generate(4)) == 6


def blocks_end(side):
    root = side.connect(side.far(_serve)).root
    manager = root.manager()
    with manager as entered:
        assert entered == manager
    assert manager.seen is None
    with_error = raises(ValueError, _fail_within, manager)
    assert with_error.args == ("within",)
    assert manager.seen == side.expected("what __exit__ of a remote object sees", "TypeError")


def _fail_within(manager):
    with manager:
        raise ValueError("within")


def exiting_and_interrupting(side):
    conn = side.connect(side.far(_serve, {"propagate_KeyboardInterrupt_locally": False}))
    error = raises(SystemExit, conn.root.system_exit)
    assert error.args == ("leaving",)
    raises(KeyboardInterrupt, conn.root.interrupt)
    assert conn.root.echo(1) == 1


def interrupting_the_server(side):
    """With the default it ends the connection that raised it."""
    conn = side.connect(side.far(_serve))
    raises((KeyboardInterrupt, EOFError), conn.root.interrupt)
    raises(EOFError, lambda: [conn.root.echo(1) for _ in range(1000)])


def exceptions_as_values(side):
    root = side.connect(side.far(_serve)).root
    mine = ValueError("mine")
    assert root.echo(mine) is mine
    assert raises(ValueError, root.call, _raise, mine).args == ("mine",)


def _raise(error):
    raise error


def types_made_for_unknown_exceptions(side):
    vinegar = side.rpyc.core.vinegar
    root = side.connect(side.far(_serve)).root
    error = raises(vinegar.GenericException, root.only_there)
    cached = vinegar._generic_exceptions_cache
    assert any(cls is type(error) or cls in type(error).__mro__ for cls in cached.values())
