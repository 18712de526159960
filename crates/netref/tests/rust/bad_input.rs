//! What goes wrong at the edges: each a clear error that says what to do.

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

use netref::protocol::{Dialect, FrameError, ProtocolError};
use netref::threads::{Closed, EndReason};
use netref::{Args, Error, Options, Value, Wire};

use crate::lab::{Lab, both_ends, raised, serve_lab};
use crate::stock::{Stock, stock5, stock6};

/// Why the connection that was used has ended.
fn ended<T: std::fmt::Debug>(outcome: netref::Result<T>) -> Closed {
    match outcome {
        Err(Error::Closed(closed)) => closed,
        other => panic!("expected the connection to end, got {other:?}"),
    }
}

/// A server that answers each of its clients with `answer` and hangs up.
fn answering(answer: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream: TcpStream = stream.unwrap();
            let mut request = [0; 64];
            let count = stream.read(&mut request).unwrap();
            assert!(count > 0);
            stream.write_all(answer).unwrap();
        }
    });
    format!("tcp://127.0.0.1:{port}")
}

#[test]
fn nobody_listens() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("tcp://{}", listener.local_addr().unwrap());
    drop(listener);
    match netref::connect(&url) {
        Err(Error::Connect { url: named, source }) => {
            assert_eq!((named, source.kind()), (url, ErrorKind::ConnectionRefused));
        }
        other => panic!("{other:?}"),
    }
    let missing = netref::connect("unix:///nonexistent/netref.sock");
    assert!(matches!(missing, Err(Error::Connect { source, .. }) if source.kind() == ErrorKind::NotFound));
}

#[test]
fn somebody_else_listens() {
    let running = serve_lab();
    let taken = netref::serve(&running.url(), Lab::default).unwrap_err();
    assert!(
        matches!(&taken, Error::Listen { source, .. } if source.kind() == ErrorKind::AddrInUse),
        "{taken:?}"
    );
    assert!(taken.to_string().starts_with(&format!("cannot listen at {}: ", running.url())), "{taken}");
}

#[test]
fn not_a_url() {
    for url in ["localhost:18861", "http://localhost", "tcp://", "tcp://host:port", "unix://"] {
        assert!(matches!(netref::connect(url), Err(Error::BadUrl { .. })), "{url}");
    }
}

#[test]
fn a_peer_that_speaks_http() {
    let url = answering(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n");
    let closed = ended(netref::connect(&url).unwrap().root());
    let expected =
        matches!(closed.reason(), EndReason::Protocol(ProtocolError::Frame(FrameError::NotRpyc(_))));
    assert!(expected, "{closed:?}");
    assert!(closed.to_string().contains("check that an RPyC server"), "{closed}");
}

#[test]
fn a_peer_that_hangs_up() {
    let url = answering(b"");
    let closed = ended(netref::connect(&url).unwrap().root());
    // Whether the end of the stream or a reset comes first is the system's business.
    assert!(matches!(closed.reason(), EndReason::EndOfStream | EndReason::Transport(_)), "{closed:?}");
    assert!(closed.to_string().contains("`wire`"), "{closed}");
}

#[test]
fn a_client_that_speaks_http_is_no_harm() {
    let running = serve_lab();
    let address = running.url();
    let mut stranger = TcpStream::connect(address.trim_start_matches("tcp://")).unwrap();
    stranger.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    // Refused: the stream ends, orderly or by a reset.
    let _ = stranger.read_to_end(&mut answer);
    assert!(answer.len() < 100);
    running.connect().ping().unwrap();
}

#[test]
fn a_v5_client_of_a_v6_server() {
    let server = Stock::serve(&stock6());
    let closed = ended(Options::new().wire(Wire::V5).connect(&server.url()).unwrap().root());
    let expected =
        matches!(closed.reason(), EndReason::Protocol(ProtocolError::WrongDialect { peer: Dialect::V6 }));
    assert!(expected, "{closed:?}");
}

#[test]
fn a_v6_client_of_a_v5_server() {
    let server = Stock::serve(&stock5());
    let closed = ended(netref::connect(&server.url()).unwrap().root());
    let expected =
        matches!(closed.reason(), EndReason::Protocol(ProtocolError::WrongDialect { peer: Dialect::V5 }));
    assert!(expected, "{closed:?}");
}

#[test]
fn the_right_dialect_of_a_v5_server() {
    let server = Stock::serve(&stock5());
    let conn = Options::new().wire(Wire::V5).connect(&server.url()).unwrap();
    assert_eq!(conn.root().unwrap().call_method("add", (40, 2)).unwrap(), Value::Int(42));
}

#[test]
fn a_peer_that_is_closed_in_the_middle_of_a_call() {
    let (conn, server) = both_ends();
    let closes = netref::function(move || server.close());
    let outcome = conn.root().unwrap().call_method("call", (closes,));
    let closed = ended(outcome);
    assert!(matches!(closed.reason(), EndReason::ClosedByPeer), "{closed:?}");
    assert!(matches!(ended(conn.ping()).reason(), EndReason::ClosedByPeer));
}

#[test]
fn unknown_and_hidden_names() {
    let (conn, _server) = both_ends();
    let lab = conn.root().unwrap();
    for name in ["nothing", "secret", "__class__", "__init__", "_echo", ""] {
        assert_eq!(raised(lab.get_attr(name)), "AttributeError", "{name}");
        assert_eq!(raised(lab.call_method(name, ())), "AttributeError", "{name}");
        assert_eq!(raised(lab.del_attr(name)), "AttributeError", "{name}");
    }
    assert_eq!(raised(lab.set_attr("echo", 1)), "AttributeError");
    assert_eq!(raised(lab.call(())), "TypeError");
    let message = lab.call_method("secret", ()).unwrap_err().to_string();
    assert!(message.contains("'secret'"), "{message}");
}

#[test]
fn wrong_arguments() {
    let (conn, _server) = both_ends();
    let lab = conn.root().unwrap();
    let message = |args: Args| {
        let error = lab.call_method("add", args).unwrap_err();
        assert!(error.exception().unwrap().is("TypeError"));
        error.exception().unwrap().args()[0].clone().extract::<String>().unwrap()
    };
    assert_eq!(message(Args::default()), "add() missing required argument 'a'");
    assert_eq!(message(Args::new((1, 2, 3))), "add() takes 2 arguments but 3 were given");
    assert_eq!(message(Args::new((1,)).named("c", 2)), "add() got an unexpected keyword argument 'c'");
    assert_eq!(message(Args::new((1,)).named("a", 2)), "add() got multiple values for argument 'a'");
    assert_eq!(message(Args::new(("x",))), "add() argument 'a': expected an int, got str");
    assert_eq!(
        message(Args::new((u64::MAX,))),
        "add() argument 'a': expected an int that fits i64, got 18446744073709551615"
    );
    conn.ping().unwrap();
}

#[test]
fn what_cannot_be_sent_fails_its_call_alone() {
    let (conn, _server) = both_ends();
    let lab = conn.root().unwrap();
    let deep = (0..2000).fold(Value::None, |inner, _| Value::Tuple(vec![inner]));
    let outcome = lab.call_method("echo", vec![deep]);
    assert!(matches!(outcome, Err(Error::Unsendable(_))), "{outcome:?}");
    conn.ping().unwrap();
}
