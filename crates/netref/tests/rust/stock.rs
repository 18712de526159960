//! Stock RPyC at the other end: what a Python program sees of Rust's objects, and the other way round.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use netref::{File, Remote, Value, function};

use crate::lab::{raised, serve_lab};

/// A process of stock RPyC.
pub(crate) struct Stock {
    process: Child,
    port: u16,
}

const SERVER: &str = r#"
import rpyc
from rpyc.utils.server import ThreadedServer

class Service(rpyc.Service):
    exposed_list = [3, 1, 2]

    def exposed_add(self, a, b=1):
        return a + b

    def exposed_call(self, function, *args, **kwargs):
        return function(*args, **kwargs)

    def exposed_run(self, source, subject):
        names = {"subject": subject}
        exec(source, names)
        return names.get("result")

    def exposed_fail(self):
        {}["missing"]

server = ThreadedServer(Service(), hostname="127.0.0.1", port=0, protocol_config={"allow_public_attrs": True})
server._listen()
print(server.port, flush=True)
server.start()
"#;

impl Stock {
    pub(crate) fn serve(python: &str) -> Self {
        let mut process = Command::new(python)
            .args(["-c", SERVER])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("cannot run {python}: {error}"));
        let mut port = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut port).unwrap();
        let port =
            port.trim().parse().unwrap_or_else(|_| panic!("{python} does not run RPyC: see its output"));
        Self { process, port }
    }

    pub(crate) fn url(&self) -> String {
        format!("tcp://127.0.0.1:{}", self.port)
    }
}

impl Drop for Stock {
    fn drop(&mut self) {
        // Fails if it has ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

pub(crate) fn stock6() -> String {
    interpreter("NETREF_STOCK6_PYTHON", "6.0.2")
}

pub(crate) fn stock5() -> String {
    interpreter("NETREF_STOCK5_PYTHON", "5.3.1")
}

fn interpreter(variable: &str, version: &str) -> String {
    std::env::var(variable).unwrap_or_else(|_| {
        panic!("set {variable} to a Python interpreter that has stock rpyc {version} installed")
    })
}

/// Runs Python statements on a stock server with one of our objects; they may assert, and set `result`.
fn run(subject: impl netref::IntoValue, source: &str) -> netref::Result<Value> {
    let server = Stock::serve(&stock6());
    let conn = netref::connect(&server.url())?;
    let result = conn.root()?.call_method("run", (source, subject))?;
    // Fetched while the server is there.
    match result {
        Value::Remote(remote) => remote.str().map(Value::Str),
        result => Ok(result),
    }
}

#[test]
fn a_python_program_uses_a_list_as_its_own() {
    let list: netref::List = ["b", "a", "c"].into_iter().collect();
    run(
        &list,
        r#"
assert len(subject) == 3 and subject[0] == "b" and subject[-1] == "c" and "a" in subject
assert list(subject) == ["b", "a", "c"] and sorted(subject) == ["a", "b", "c"]
assert list(subject[1:]) == ["a", "c"] and list(subject[::-1]) == ["c", "a", "b"]
assert list(reversed(subject)) == ["c", "a", "b"]
subject.append("d"); subject.extend(["e", "f"]); subject.insert(0, "_"); subject += ["g"]
assert subject.pop() == "g" and subject.pop(0) == "_" and subject.index("d") == 3 and subject.count("a") == 1
subject.sort(); subject.reverse(); subject.remove("f")
subject[0] = "E"; subject[1:3] = ["x", "y", "z"]; del subject[-1]; del subject[::2]
assert repr(subject) == str(subject) == repr(list(subject)) == "['x', 'z']", repr(subject)
subject.sort(key=lambda item: -ord(item))
assert subject == ["z", "x"] and subject != ["x"] and not subject == [1] and bool(subject)
assert list(subject + ["w"]) == ["z", "x", "w"] and list(subject * 2) == ["z", "x", "z", "x"]
assert subject < ["zz"] and [n + n for n in subject] == ["zz", "xx"]
for attempt, kind in [(lambda: subject[9], IndexError), (lambda: subject.index("q"), ValueError),
                      (lambda: subject["a"], TypeError), (lambda: subject.pop(9), IndexError),
                      (lambda: hash(subject), TypeError), (lambda: subject.nothing, AttributeError)]:
    try:
        attempt()
    except kind:
        pass
    else:
        raise AssertionError(kind)
subject.clear()
assert not subject and list(subject) == []
"#,
    )
    .unwrap();
    assert!(list.is_empty());
}

#[test]
fn a_python_program_uses_a_dict_as_its_own() {
    let dict: netref::Dict = [("a", 1), ("b", 2)].into_iter().collect();
    run(
        &dict,
        r#"
assert len(subject) == 2 and subject["a"] == 1 and "b" in subject and "c" not in subject
assert list(subject) == list(subject.keys()) == ["a", "b"] and list(subject.values()) == [1, 2]
assert dict(subject) == dict(subject.items()) == {"a": 1, "b": 2} == subject
assert [key + str(value) for key, value in subject.items()] == ["a1", "b2"]
assert subject.get("a") == 1 and subject.get("c") is None and subject.get("c", 3) == 3
subject["c"] = 3; subject.update({"d": 4}, e=5); subject.update([("f", 6)]); subject.setdefault("g", 7)
assert subject.setdefault("a", 9) == 1 and subject.pop("g") == 7 and subject.pop("g", 8) == 8
del subject["f"]
assert subject.popitem() == ("e", 5)
subject[1] = "int"; subject[(1, "x")] = "tuple"
assert subject[1.0] == "int" and subject[True] == "int" and subject[1, "x"] == "tuple"
assert repr(subject) == "{'a': 1, 'b': 2, 'c': 3, 'd': 4, 1: 'int', (1, 'x'): 'tuple'}", repr(subject)
assert dict(subject | {"a": 0})["a"] == 0 and subject["a"] == 1
for attempt, kind in [(lambda: subject["q"], KeyError), (lambda: subject.pop("q"), KeyError),
                      (lambda: subject[[]], TypeError), (lambda: hash(subject), TypeError)]:
    try:
        attempt()
    except kind as error:
        assert kind is not KeyError or error.args == ("q",)
    else:
        raise AssertionError(kind)
iterator = iter(subject)
next(iterator)
subject["more"] = 1
try:
    next(iterator)
except RuntimeError:
    pass
else:
    raise AssertionError("changed size")
subject.clear()
assert not subject
"#,
    )
    .unwrap();
    assert!(dict.is_empty());
}

#[test]
fn a_python_program_uses_a_file_as_its_own() {
    let text = "Simple\nis\r\nbetter\rthan\ncomplex.";
    let file = File::seekable_reader(std::io::Cursor::new(text)).named("zen.txt");
    run(
        &file,
        r#"
assert subject.name == "zen.txt" and subject.mode == "r" and not subject.closed and subject.readable()
assert subject.read(3) == "Sim" and subject.readline() == "ple\n" and subject.tell() == 7
assert subject.readline(1) == "i" and subject.readline() == "s\n"
assert list(subject) == ["better\n", "than\n", "complex."] and subject.read() == subject.readline() == ""
assert subject.seek(0) == 0 and subject.read() == "Simple\nis\nbetter\nthan\ncomplex."
subject.seek(0)
lines = subject.readlines()
assert len(lines) == 5 and lines[1] == "is\n" and [line for line in lines] == list(lines)
with subject as same:
    assert same is subject
assert subject.closed
for attempt in (subject.read, subject.readline, lambda: next(subject), subject.__enter__, subject.tell):
    try:
        attempt()
    except ValueError as error:
        assert "closed file" in str(error)
    else:
        raise AssertionError("closed")
subject.close()
"#,
    )
    .unwrap();
    assert!(file.is_closed());
}

/// Programs and libraries ask: `zipfile` whether it is a path, others whether to expect str or bytes.
#[test]
fn a_python_program_sees_what_kind_a_file_is() {
    let reader = || File::reader(&b""[..]);
    for (file, class) in [
        (reader(), "TextIOBase"),
        (reader().binary(), "BufferedReader"),
        (File::writer(Vec::new()).binary(), "BufferedWriter"),
    ] {
        let program = format!(
            "import io, os\nassert isinstance(subject, io.{class}) and not isinstance(subject, (os.PathLike, io.BytesIO))"
        );
        run(&file, &program).unwrap();
    }
}

#[test]
fn a_python_program_uses_rust_functions_and_iterators() {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let hears = {
        let heard = heard.clone();
        function(move |text: String| heard.lock().unwrap().push(text))
    };
    run(hears, "subject('one'); subject(*['two']); result = list(map(subject, ['three']))").unwrap();
    assert_eq!(*heard.lock().unwrap(), ["one", "two", "three"]);
    let result = run(netref::iterator(1..=4), "result = tuple(subject)").unwrap();
    assert_eq!(result.extract::<Vec<i64>>().unwrap(), [1, 2, 3, 4]);
}

#[test]
fn a_python_program_sees_errors_as_its_own() {
    let server = serve_lab();
    let source = r#"
import sys
import rpyc
root = rpyc.connect("127.0.0.1", int(sys.argv[1])).root
assert root.add(40, b=2) == 42 and root.gain == 0
assert root.echo.__doc__ == "Returns what it is given." and root.add.__doc__ is None and root.__doc__ is None
for attempt, kind, text in [
    (lambda: root.raise_("ValueError", "loud"), AttributeError, "raise_"),
    (lambda: getattr(root, "raise")("ValueError", "loud"), ValueError, "loud"),
    (lambda: root.panic("on fire"), RuntimeError, "on fire"),
    (lambda: root.add(), TypeError, "add() missing required argument 'a'"),
    (lambda: root.secret(), AttributeError, "secret"),
]:
    try:
        attempt()
    except kind as error:
        assert text in str(error), str(error)
        assert "Remote Traceback" in str(error) or hasattr(error, "_remote_tb")
    else:
        raise AssertionError(kind)
def deep(n):
    return "bottom" if n == 0 else root.call(deep, n - 1)
assert root.call(deep, 3) == "bottom"
print("done")
"#;
    let port = server.url().rsplit(':').next().unwrap().to_owned();
    let output = Command::new(stock6()).args(["-c", source, &port]).output().unwrap();
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "done\n",
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn a_callback_of_stock_runs_on_the_thread_that_waits() {
    let server = Stock::serve(&stock6());
    let conn = netref::connect(&server.url()).unwrap();
    let root = conn.root().unwrap();
    let me = thread::current().id();
    let is_here = function(move || thread::current().id() == me);
    for _ in 0..20 {
        // Long enough for the driver to read in the background, which must not make a difference.
        thread::sleep(Duration::from_millis(3));
        assert_eq!(root.call_method("call", (is_here.clone(),)).unwrap(), Value::Bool(true));
    }
}

#[test]
fn rust_uses_python_objects() {
    let server = Stock::serve(&stock6());
    let conn = netref::connect(&server.url()).unwrap();
    assert_eq!(conn.peer_software(), None);
    let root = conn.root().unwrap();
    let list: Remote = root.get_attr("list").unwrap().extract().unwrap();
    assert_eq!(list.len().unwrap(), 3);
    assert_eq!(list.repr().unwrap(), "[3, 1, 2]");
    list.call_method("sort", ()).unwrap();
    assert_eq!(
        list.clone().iter().unwrap().map(|item| item.unwrap().extract::<i64>().unwrap()).collect::<Vec<_>>(),
        [1, 2, 3]
    );
    assert_eq!(raised(list.get_item(7)), "IndexError");
    let error = root.call_method("fail", ()).unwrap_err();
    assert_eq!(error.exception().unwrap().args(), [Value::Str("missing".to_owned())]);
    assert!(error.exception().unwrap().traceback().contains("exposed_fail"));
    assert_eq!(raised(root.get_attr("nothing")), "AttributeError");
    assert_eq!(raised(root.call_method("add", ())), "TypeError");
    let nested = function({
        let root = root.clone();
        move |n: i64| root.call_method("call", (function(move || n + 1),))
    });
    assert_eq!(root.call_method("call", (nested, 41)).unwrap(), Value::Int(42));
}
