"""Classic mode: another interpreter as if it were here."""

import operator
import subprocess
import sys

import pytest

import netref
from netref import classic
from netref.core.service import ClassicClient, SlaveService
from netref.utils.server import ThreadedServer
from peer_process import STOCK6


@pytest.fixture(params=["thread", "process", pytest.param("stock", marks=STOCK6)])
def slave(request, serve, peer_processes, cleanup):
    if request.param == "thread":
        port = serve(SlaveService).port
    else:
        port = peer_processes("rpyc" if request.param == "stock" else "netref", "classic").port
    return cleanup.enter_context(classic.connect("127.0.0.1", port))


def test_modules(slave):
    assert slave.modules.os.path.join("a", "b") == "a/b"
    assert slave.modules["xml.dom"].__name__ == "xml.dom"
    assert slave.modules.sys.version_info >= (3, 8)
    assert slave.modules.math is slave.modules.math
    assert slave.modules.collections.Counter("aab").most_common(1)[0][1] == 2
    assert "json" in slave.modules
    assert "no_such_module" not in slave.modules
    with pytest.raises(ImportError, match="no_such_module"):
        slave.modules["no_such_module"]
    with pytest.raises(AttributeError, match="no_such_module"):
        _ = slave.modules.no_such_module


def test_builtins(slave):
    assert slave.builtins.sum((1, 2, 3)) == 6
    assert slave.builtin.len(slave.builtins.list((1, 2))) == 2
    remote_list = slave.builtins.list(range(3))
    remote_list.append(9)
    assert list(remote_list) == [0, 1, 2, 9]


def test_execute_eval_namespace(slave):
    slave.execute("def double(x):\n    return 2 * x\n")
    assert slave.namespace["double"](21) == 42
    slave.namespace["number"] = 5
    assert slave.eval("double(number)") == 10
    with pytest.raises(NameError, match="missing"):
        slave.eval("missing")
    with pytest.raises(SyntaxError):
        slave.execute("1 +")


def test_remote_subclass_of_a_local_function(slave):
    assert list(slave.builtins.map(lambda x: x + 1, (1, 2))) == [2, 3]
    assert slave.builtins.sorted([3, 1, 2], key=operator.neg)[0] == 3


def test_setattr_and_delattr(slave):
    slave.execute("class Empty: pass")
    thing = slave.namespace["Empty"]()
    thing.colour = "blue"
    assert thing.colour == "blue"
    del thing.colour
    with pytest.raises(AttributeError, match="colour"):
        _ = thing.colour


def test_obtain_and_deliver(slave):
    numbers = slave.builtins.list(range(5))
    copy = classic.obtain(numbers)
    assert type(copy) is list
    assert copy == [0, 1, 2, 3, 4]
    delivered = classic.deliver(slave, {"a": [1]})
    assert isinstance(delivered, netref.BaseNetref)
    assert classic.obtain(delivered) == {"a": [1]}


def test_the_other_side_obtains_from_here(slave):
    local = [1, {"two": 2}]
    slave.execute("import pickle\ndef copy(x):\n    return pickle.loads(pickle.dumps(x))")
    copied = slave.namespace["copy"](local)
    assert classic.obtain(copied) == local


def test_exceptions_of_classes_that_are_known_here(slave):
    with pytest.raises(ValueError, match="Expecting property name"):
        slave.modules.json.loads("{")
    with pytest.raises(subprocess.CalledProcessError) as caught:
        slave.modules.subprocess.check_call(["false"])
    assert caught.value.returncode == 1


def test_getconn(slave):
    assert slave.root.getconn() is not None


def test_client_that_offers_nothing(serve, cleanup):
    server = serve(SlaveService)
    conn = cleanup.enter_context(netref.connect("127.0.0.1", server.port, service=ClassicClient))
    assert conn.modules.sys.maxsize == sys.maxsize


@pytest.mark.differs("there is no netref there")
def test_names_of_stock_are_answered(slave):
    """Peers ask for modules of RPyC by their stock names."""
    assert slave.modules["rpyc.lib.compat"].pickle.dumps(1)
    assert slave.modules["rpyc"].__version__.startswith("6.")
    ours = slave.modules["rpyc"].__name__ == "netref"
    assert ours == ("netref" in slave.modules.sys.modules)


def test_unix_socket(serve, cleanup, tmp_path):
    path = str(tmp_path / "classic")
    serve(SlaveService, server_class=ThreadedServer, socket_path=path)
    conn = cleanup.enter_context(classic.unix_connect(path))
    assert conn.eval("1 + 1") == 2


def test_redirecting_output_of_the_other_side(slave, capsys):
    slave.modules.sys.stdout, kept = sys.stdout, slave.modules.sys.stdout
    try:
        slave.execute("print('seen here')")
    finally:
        slave.modules.sys.stdout = kept
    assert "seen here" in capsys.readouterr().out


def test_without_allow_pickle_nothing_is_obtained(root):
    numbers = root.make("list")
    with pytest.raises(ValueError, match="pickling is disabled"):
        classic.obtain(numbers)


@pytest.mark.differs("the owner of a pickle alone decides")
def test_pickle_needs_the_consent_of_both(serve, connect):
    class Lists(netref.Service):
        def exposed_list(self):
            return [1]

        def exposed_obtain(self, value):
            return classic.obtain(value) == [1]

    willing, unwilling = {"allow_pickle": True}, {"allow_pickle": False}
    for server_config, client_config in ((willing, unwilling), (unwilling, willing)):
        root = connect(serve(Lists, protocol_config=server_config), config=client_config).root
        with pytest.raises(ValueError, match="pickling is disabled"):
            classic.obtain(root.list())
        with pytest.raises(ValueError, match="pickling is disabled"):
            root.obtain([1])
    root = connect(serve(Lists, protocol_config=dict(willing)), config=willing).root
    assert classic.obtain(root.list()) == [1]
    assert root.obtain([1])
