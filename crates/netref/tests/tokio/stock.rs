//! Stock RPyC 6 as the peer. `NETREF_STOCK6_PYTHON` names an interpreter that has it.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use netref::aio;

use crate::lab::Lab;
use crate::operations::exercise;
use crate::{on_both_flavors, tokio_server};

#[test]
fn tokio_client_of_a_stock_server() {
    let mut server = python(SERVER).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut port = String::new();
    BufReader::new(server.stdout.take().unwrap()).read_line(&mut port).unwrap();
    let server = Running(server);
    let url = format!("tcp://127.0.0.1:{}", port.trim());
    on_both_flavors(|| async {
        let conn = aio::connect(&url).await.unwrap();
        exercise(&conn, "Lab").await;
        assert_eq!(conn.peer_software(), None);
        conn.close().await;
    });
    drop(server);
}

#[test]
fn stock_client_of_a_tokio_server() {
    on_both_flavors(|| async {
        let url = tokio_server(|| Lab).await;
        let port = url.rsplit(':').next().unwrap().to_owned();
        let output = aio::spawn_blocking(move || python(CLIENT).arg(port).output()).await.unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{errors}");
    });
}

fn python(program: &str) -> Command {
    let interpreter = std::env::var_os("NETREF_STOCK6_PYTHON").expect(
        "set NETREF_STOCK6_PYTHON to a Python interpreter that has rpyc 6: this test compares with the real thing",
    );
    let mut command = Command::new(interpreter);
    command.args(["-c", program]);
    command
}

/// Ends with its standard input, and is not left behind as a zombie.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

/// The lab of `lab.rs`.
const SERVER: &str = r#"
import sys, threading, rpyc
from rpyc.utils.server import ThreadedServer

class Shelf(dict):
    def __iter__(self): return iter(sorted(dict.keys(self)))
    def __eq__(self, other): return other == 7
    def __lt__(self, other): return NotImplemented
    def __hash__(self): return 42
    def __enter__(self): return "entered"
    def __exit__(self, *exc):
        if exc[0] is not None: self.label = "broken"
        return exc[0] is not None
    def __repr__(self): return "<a shelf>"

class Lab(rpyc.Service):
    def exposed_add(self, a, b): return a + b
    def exposed_echo(self, x): return x
    def exposed_fail(self, message): raise ValueError(message)
    def exposed_shelf(self): return Shelf()
    def exposed_call(self, function, *args): return function(*args)
    def exposed_relay(self, function, depth): return "bottom" if depth == 0 else function(depth - 1)

config = {"allow_public_attrs": True, "allow_setattr": True, "allow_delattr": True}
server = ThreadedServer(Lab, hostname="127.0.0.1", port=0, protocol_config=config)
server.listener.listen()
threading.Thread(target=server.start, daemon=True).start()
print(server.port, flush=True)
sys.stdin.read()
"#;

const CLIENT: &str = r#"
import sys, rpyc

conn = rpyc.connect("127.0.0.1", int(sys.argv[1]))
lab = conn.root
assert lab.add(40, b=2) == 42
assert lab.echo("text") == "text"
items = [1]
assert lab.echo(items) is items
try:
    lab.fail("no")
except ValueError as error:
    assert error.args == ("no",)
else:
    raise AssertionError("fail did not")
shelf = lab.shelf()
shelf["a"] = 1
assert list(shelf) == ["a"] and len(shelf) == 1 and "a" in shelf and repr(shelf) == "<a shelf>"
with shelf as entered:
    assert entered == "entered"
    raise KeyError("suppressed")
assert lab.call(lambda a, b: a * b, 6, 7) == 42
down = lambda depth: lab.relay(down, depth)
assert lab.relay(down, 3) == "bottom"
calls = [rpyc.async_(lab.add)(n, 1) for n in range(200)]
assert [call.value for call in calls] == list(range(1, 201))
conn.ping()
conn.close()
"#;
