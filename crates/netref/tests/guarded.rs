//! TLS and shared secrets: who is let in, who is not, and what is known of who is. And servers that are full, or end. All of it
//! with both drivers.

#![allow(clippy::unwrap_used, reason = "a test")]

mod drivers;

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use netref::protocol::Limits;
use netref::tls::Tls;
use netref::{
    Address, Connection, Credentials, Error, Options, Result, Server, ServerStats, Service, SharedSecret,
};

use drivers::{DRIVERS, Driver, PAIRINGS, Running, connect};

const SECRET: &[u8] = b"a secret of sixteen bytes or more";

/// Says who its client is.
struct Greeter;

#[netref::object]
impl Greeter {
    fn greet(&self, name: &str) -> String {
        format!("Hello, {name}!")
    }

    fn size(&self, text: &str) -> usize {
        text.len()
    }
}

struct Telling(Arc<Mutex<Vec<Option<Credentials>>>>);

impl netref::Object for Telling {
    fn class(&self) -> Arc<netref::Class> {
        Greeter.class()
    }

    fn call_method(&self, name: &str, args: netref::Args) -> Result<netref::Value> {
        Greeter.call_method(name, args)
    }
}

impl Service for Telling {
    fn connected(&self, connection: &Connection) -> Result<()> {
        self.0.lock().unwrap().push(connection.credentials().cloned());
        Ok(())
    }
}

type Seen = Arc<Mutex<Vec<Option<Credentials>>>>;

impl Running {
    fn url(&self) -> String {
        let &Address::Tcp { port, .. } = self.address() else { unreachable!("a TCP port was asked for") };
        format!("tcp://localhost:{port}")
    }

    fn stop_gracefully(&self, grace: Duration) {
        match self {
            Self::Threads(server) => server.stop_gracefully(grace),
            Self::Tokio(server) => server.stop_gracefully(grace),
        }
    }

    fn stats(&self) -> ServerStats {
        match self {
            Self::Threads(server) => server.stats(),
            Self::Tokio(server) => server.stats(),
        }
    }
}

const ANY_PORT: &str = "tcp://127.0.0.1:0";

fn serve(driver: Driver, options: Options) -> (Running, String, Seen) {
    let seen = Seen::default();
    let telling = seen.clone();
    let server = Running::start(driver, ANY_PORT, options, move || Arc::new(Telling(telling.clone())));
    let url = server.url();
    (server, url, seen)
}

/// An authority, a server's certificate for localhost, one that has expired, and a client's, as PEM files.
struct Papers {
    folder: PathBuf,
}

impl Papers {
    fn new(name: &str) -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::create_dir_all(&folder).unwrap();
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let authority = params.self_signed(&key).unwrap();
        let issuer = rcgen::Issuer::from_params(&params, &key);
        let papers = Self { folder };
        papers.write("ca.pem", &authority.pem());
        for (name, host) in [
            ("server", "localhost"),
            ("late", "localhost"),
            ("client", "client.invalid"),
            ("other", "elsewhere.invalid"),
        ] {
            let key = rcgen::KeyPair::generate().unwrap();
            let mut params = rcgen::CertificateParams::new(vec![host.to_owned()]).unwrap();
            if name == "late" {
                params.not_after = rcgen::date_time_ymd(2020, 1, 1);
            }
            papers.write(&format!("{name}.pem"), &params.signed_by(&key, &issuer).unwrap().pem());
            papers.write(&format!("{name}.key"), &key.serialize_pem());
        }
        papers
    }

    fn write(&self, name: &str, content: &str) {
        std::fs::write(self.folder.join(name), content).unwrap();
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

fn greeting(driver: Driver, options: &Options, url: &str) -> Result<String> {
    let conn = connect(driver, options, url)?;
    conn.root()?.call_method("greet", ("you",))?.extract()
}

fn guarded_by(handshake: impl netref::Handshake) -> Options {
    Options::new().handshake(handshake).timeout(Some(Duration::from_secs(20)))
}

#[test]
fn a_client_verifies_the_server_and_its_name() {
    for driver in DRIVERS {
        let papers = Papers::new("verify");
        let server = Tls::server(papers.file("server.pem"), papers.file("server.key")).unwrap();
        let (_server, url, seen) = serve(driver, guarded_by(server));
        let trusting = guarded_by(Tls::trusting(papers.file("ca.pem")).unwrap());
        assert_eq!(greeting(driver, &trusting, &url).unwrap(), "Hello, you!");
        assert_eq!(*seen.lock().unwrap(), [None], "clients need no certificate");
        // Another name for the same server, which its certificate does not have.
        let by_address = url.replace("localhost", "127.0.0.1");
        assert!(matches!(greeting(driver, &trusting, &by_address), Err(Error::Connect { .. })));
        // Another authority.
        let strangers = Papers::new("strangers");
        let suspicious = guarded_by(Tls::trusting(strangers.file("ca.pem")).unwrap());
        let refused = greeting(driver, &suspicious, &url).unwrap_err().to_string();
        assert!(refused.contains("certificate"), "{refused}");
    }
}

#[test]
fn a_pinned_certificate_is_the_only_one() {
    for driver in DRIVERS {
        let papers = Papers::new("pin");
        let server = Tls::server(papers.file("server.pem"), papers.file("server.key")).unwrap();
        let (_server, url, _) = serve(driver, guarded_by(server));
        let pinning = guarded_by(Tls::pinning(papers.file("server.pem")).unwrap());
        assert_eq!(
            greeting(driver, &pinning, &url.replace("localhost", "127.0.0.1")).unwrap(),
            "Hello, you!"
        );
        let wrong = guarded_by(Tls::pinning(papers.file("other.pem")).unwrap());
        assert!(matches!(greeting(driver, &wrong, &url), Err(Error::Connect { .. })));
    }
}

#[test]
fn a_clients_certificate_is_its_credentials() {
    for driver in DRIVERS {
        let papers = Papers::new("client");
        let file = |name| papers.file(name);
        let server = Tls::server_for(file("server.pem"), file("server.key"), file("ca.pem")).unwrap();
        let (_server, url, seen) = serve(driver, guarded_by(server));
        let known = Tls::trusting_as(file("ca.pem"), file("client.pem"), file("client.key")).unwrap();
        assert_eq!(greeting(driver, &guarded_by(known), &url).unwrap(), "Hello, you!");
        match &seen.lock().unwrap()[..] {
            [Some(Credentials::Certificates(chain))] => assert!(!chain.is_empty()),
            other => panic!("{other:?}"),
        }
        let unknown = guarded_by(Tls::trusting(file("ca.pem")).unwrap());
        greeting(driver, &unknown, &url).unwrap_err();
        assert_eq!(seen.lock().unwrap().len(), 1);
    }
}

#[test]
fn large_messages_cross_tls_both_ways_at_once() {
    let papers = Papers::new("large");
    for (client, server) in PAIRINGS {
        let tls = Tls::server(papers.file("server.pem"), papers.file("server.key")).unwrap();
        let (_server, url, _) = serve(server, guarded_by(tls));
        let trusting = guarded_by(Tls::trusting(papers.file("ca.pem")).unwrap());
        let conn = connect(client, &trusting, &url).unwrap();
        let root = conn.root().unwrap();
        let text = "x".repeat(3_000_000);
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..2 {
                        let size: usize =
                            root.call_method("size", (text.as_str(),)).unwrap().extract().unwrap();
                        assert_eq!(size, text.len());
                        let greeting: String =
                            root.call_method("greet", (text.as_str(),)).unwrap().extract().unwrap();
                        assert_eq!(greeting.len(), text.len() + 8);
                    }
                });
            }
        });
    }
}

/// RPyC waits until its socket has something, and does not ask its TLS session for what that has read already: of two answers in one
/// record, it would see the second when the next one comes.
#[test]
fn no_record_has_two_messages() {
    let papers = Papers::new("records");
    let python =
        std::env::var("NETREF_PYTHON").expect("set NETREF_PYTHON, or run the project's test command");
    let program = "import socket, ssl, struct, sys\n\
                   from netref.core import brine, consts\n\
                   context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)\n\
                   context.check_hostname, context.verify_mode = False, ssl.CERT_NONE\n\
                   plain = socket.create_connection(('127.0.0.1', int(sys.argv[1])), timeout=20)\n\
                   sock = context.wrap_socket(plain)\n\
                   def ping(seq, size):\n    \
                       args = consts.LABEL_TUPLE, ((consts.LABEL_VALUE, 'x' * size),)\n    \
                       data = brine.dump((consts.MSG_REQUEST, seq, (consts.HANDLE_PING, args)))\n    \
                       return struct.pack('!LB', len(data), 0) + data + b'\\n'\n\
                   sizes = [1, 2, 2500, 1, 2900] * 3\n\
                   sock.sendall(b''.join(ping(*numbered) for numbered in enumerate(sizes)))\n\
                   together = 0\n\
                   def read(count):\n    \
                       return b''.join(sock.recv(1) for _ in range(count))\n\
                   for _ in sizes:\n    \
                       size, _ = struct.unpack('!LB', read(5))\n    \
                       read(size + 1)\n    \
                       together += sock.pending() > 0\n\
                   print(together)";
    for driver in DRIVERS {
        let tls = Tls::server(papers.file("server.pem"), papers.file("server.key")).unwrap();
        let (_server, url, _) = serve(driver, guarded_by(tls));
        let port = url.rsplit(':').next().unwrap();
        let output = Command::new(&python).args(["-c", program, port]).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout), "0\n", "{output:?}");
    }
}

#[test]
fn a_silent_client_holds_nobody_up_and_is_hung_up_on() {
    for driver in DRIVERS {
        let papers = Papers::new("silent");
        let server = Tls::server(papers.file("server.pem"), papers.file("server.key")).unwrap();
        let mut limits = Limits::default();
        limits.handshake_timeout = Some(Duration::from_millis(500));
        let (_server, url, _) = serve(driver, guarded_by(server).limits(limits));
        let address = url.strip_prefix("tcp://").unwrap();
        let mut silent: Vec<_> = (0..20).map(|_| TcpStream::connect(address).unwrap()).collect();
        silent[0].write_all(b"\x16\x03").unwrap();
        let trusting = guarded_by(Tls::trusting(papers.file("ca.pem")).unwrap());
        assert_eq!(greeting(driver, &trusting, &url).unwrap(), "Hello, you!");
        for stream in &mut silent {
            stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
            // Closed, or reset, after an alert perhaps: not silent for ever.
            let ended = stream.read_to_end(&mut Vec::new());
            assert!(!ended.is_err_and(|error| error.kind() == ErrorKind::WouldBlock));
        }
    }
}

/// A client's thread, or a runtime's, went on reading for as long as they came. (Python's server, for rustls's sends them in one
/// record, which rustls's client finds too long.)
#[test]
fn a_server_that_sends_nothing_but_session_tickets_is_given_up() {
    let python =
        std::env::var("NETREF_PYTHON").expect("set NETREF_PYTHON, or run the project's test command");
    let papers = Papers::new("tickets");
    let program = "import socket, ssl, sys\n\
                   context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)\n\
                   context.load_cert_chain(*sys.argv[1:])\n\
                   context.num_tickets = 20_000\n\
                   listener = socket.create_server(('127.0.0.1', 0))\n\
                   print(listener.getsockname()[1], flush=True)\n\
                   context.wrap_socket(listener.accept()[0], server_side=True).read()\n\
                   sys.stdin.read()";
    for driver in DRIVERS {
        let mut server = Command::new(&python)
            .args(["-c", program])
            .args([papers.file("server.pem"), papers.file("server.key")])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut port = String::new();
        BufReader::new(server.stdout.take().unwrap()).read_line(&mut port).unwrap();
        let trusting = guarded_by(Tls::trusting(papers.file("ca.pem")).unwrap());
        let refused = greeting(driver, &trusting, &format!("tcp://localhost:{}", port.trim())).unwrap_err();
        let _ = server.kill();
        server.wait().unwrap();
        assert!(refused.to_string().contains("TLS has nothing in it"), "{refused}");
    }
}

#[test]
fn files_without_what_is_wanted_are_named() {
    let papers = Papers::new("swapped");
    let (certificate, key) = (papers.file("server.pem"), papers.file("server.key"));
    let no_key = Tls::server(&certificate, &certificate).unwrap_err().to_string();
    assert_eq!(no_key, format!("there is no private key in {}", certificate.display()));
    let no_certificate = Tls::server(&key, &key).unwrap_err().to_string();
    assert_eq!(no_certificate, format!("there is no certificate in {}", key.display()));
}

#[test]
fn who_does_not_speak_tls_is_told_so() {
    for driver in DRIVERS {
        let papers = Papers::new("plain");
        let tls = Tls::server(papers.file("server.pem"), papers.file("server.key")).unwrap();
        let (guarded, url, _) = serve(driver, guarded_by(tls));
        let (_open, open_url, _) = serve(driver, Options::new());
        let trusting = guarded_by(Tls::trusting(papers.file("ca.pem")).unwrap());
        let plain = Options::new().timeout(Some(Duration::from_secs(20)));
        let told = greeting(driver, &plain, &url).unwrap_err();
        assert!(
            matches!(&told, Error::Closed(_)) && told.to_string().contains("whether it wants TLS"),
            "{told}"
        );
        let told = greeting(driver, &trusting, &open_url).unwrap_err();
        assert!(
            matches!(&told, Error::Connect { .. }) && told.to_string().contains("not speak TLS"),
            "{told}"
        );
        // Nonsense, a record that is too long, and half a record, ended without a word of TLS's.
        for bytes in
            [&b"GET / HTTP/1.0\r\n\r\n"[..], b"\x16\x03\x01\xff\xff\x01", b"\x16\x03\x01\x02\x00\x01"]
        {
            let mut stranger = TcpStream::connect(url.strip_prefix("tcp://").unwrap()).unwrap();
            stranger.write_all(bytes).unwrap();
            stranger.shutdown(Shutdown::Write).unwrap();
            let _ = stranger.read_to_end(&mut Vec::new());
        }
        assert_eq!(greeting(driver, &trusting, &url).unwrap(), "Hello, you!");
        while guarded.stats().clients > 0 {
            thread::yield_now();
        }
        assert_eq!((guarded.stats().failed, guarded.stats().served), (4, 1), "{driver:?}");
    }
}

#[test]
fn certificates_that_have_expired_are_refused() {
    for driver in DRIVERS {
        let papers = Papers::new("expired");
        let file = |name| papers.file(name);
        let trusting = guarded_by(Tls::trusting(file("ca.pem")).unwrap());
        let late = Tls::server(file("late.pem"), file("late.key")).unwrap();
        let (_late, url, _) = serve(driver, guarded_by(late));
        let refused = greeting(driver, &trusting, &url).unwrap_err().to_string();
        assert!(refused.contains("xpired"), "{refused}");
        let server = Tls::server_for(file("server.pem"), file("server.key"), file("ca.pem")).unwrap();
        let (_server, url, seen) = serve(driver, guarded_by(server));
        let late = Tls::trusting_as(file("ca.pem"), file("late.pem"), file("late.key")).unwrap();
        greeting(driver, &guarded_by(late), &url).unwrap_err();
        assert!(seen.lock().unwrap().is_empty());
    }
}

#[test]
fn connecting_ends_in_time_whatever_it_waits_for() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("tcp://localhost:{}", silent.local_addr().unwrap().port());
    let limit = Duration::from_millis(300);
    let handshakes = [
        Options::new(),
        guarded_by(SharedSecret::new(SECRET).unwrap()),
        guarded_by(Tls::trusting(Papers::new("in time").file("ca.pem")).unwrap()),
    ];
    for driver in DRIVERS {
        for options in handshakes.clone() {
            let started = Instant::now();
            let error = connect(driver, &options.connect_timeout(limit), &url).unwrap_err();
            assert!(
                matches!(&error, Error::Connect { source, .. } if source.kind() == ErrorKind::TimedOut),
                "{error}"
            );
            assert!(error.to_string().contains("option connect_timeout"), "{error}");
            assert!(started.elapsed() < Duration::from_secs(5), "{driver:?}");
        }
        // In time, it leaves a connection whose root is known.
        let (_server, url, _) = serve(driver, Options::new());
        let conn = connect(driver, &Options::new().connect_timeout(Duration::from_secs(20)), &url).unwrap();
        assert_eq!(conn.stats().round_trips, 1);
        conn.root().unwrap();
        assert_eq!(conn.stats().round_trips, 1);
    }
}

#[test]
fn who_knows_the_secret_is_let_in() {
    for driver in DRIVERS {
        let (_server, url, seen) = serve(driver, guarded_by(SharedSecret::new(SECRET).unwrap()));
        assert_eq!(
            greeting(driver, &guarded_by(SharedSecret::new(SECRET).unwrap()), &url).unwrap(),
            "Hello, you!"
        );
        assert_eq!(*seen.lock().unwrap(), [Some(Credentials::SharedSecret)]);
        let other = SharedSecret::new(b"another secret, just as long").unwrap();
        let refused = greeting(driver, &guarded_by(other), &url).unwrap_err().to_string();
        assert!(refused.contains("the server refused the secret"), "{refused}");
        greeting(driver, &Options::new().timeout(Some(Duration::from_secs(20))), &url).unwrap_err();
        assert_eq!(seen.lock().unwrap().len(), 1);
        assert!(SharedSecret::new(b"short").is_err());
        assert_eq!(format!("{:?}", SharedSecret::new(SECRET).unwrap()), "SharedSecret(..)");
    }
}

#[test]
fn a_python_client_knows_the_secret_too() {
    for driver in DRIVERS {
        let python =
            std::env::var("NETREF_PYTHON").expect("set NETREF_PYTHON, or run the project's test command");
        let (_server, url, _) = serve(driver, guarded_by(SharedSecret::new(SECRET).unwrap()));
        let port = url.rsplit(':').next().unwrap();
        let program = "import sys; from netref.utils.authenticators import SharedSecret\n\
                       conn = SharedSecret(sys.argv[1].encode()).connect('127.0.0.1', int(sys.argv[2]))\n\
                       print(conn.root.greet('Python'))";
        let secret = std::str::from_utf8(SECRET).unwrap();
        let output = Command::new(python).args(["-c", program, secret, port]).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout), "Hello, Python!\n", "{output:?}");
    }
}

#[test]
fn a_full_server_hangs_up_on_one_too_many() {
    for driver in DRIVERS {
        let mut limits = Limits::default();
        limits.max_connections = 2;
        let (server, url, _) = serve(driver, Options::new().limits(limits));
        let first = netref::connect(&url).unwrap();
        let second = netref::connect(&url).unwrap();
        first.ping().unwrap();
        second.ping().unwrap();
        assert!(matches!(netref::connect(&url).unwrap().ping(), Err(Error::Closed(_))));
        let stats = server.stats();
        assert_eq!((stats.accepted, stats.refused, stats.clients), (3, 1, 2), "{driver:?}");
        drop(second);
        // Its place is free as soon as its thread or task has noticed.
        while netref::connect(&url).unwrap().ping().is_err() {
            thread::yield_now();
        }
        first.close();
        while server.stats().clients > 0 {
            thread::yield_now();
        }
        let stats = server.stats();
        assert_eq!(stats.accepted, stats.refused + stats.served, "{stats:?}");
    }
}

#[test]
fn clients_that_are_not_let_in_are_counted() {
    for driver in DRIVERS {
        let (server, url, _) = serve(driver, guarded_by(SharedSecret::new(SECRET).unwrap()));
        for _ in 0..3 {
            let mut stranger = TcpStream::connect(url.strip_prefix("tcp://").unwrap()).unwrap();
            stranger.write_all(&[0; 100]).unwrap();
            let _ = stranger.read_to_end(&mut Vec::new());
        }
        while server.stats().clients > 0 {
            thread::yield_now();
        }
        assert_eq!(server.stats().failed, 3, "{driver:?}");
    }
}

/// One of a server's services, each of which panics in its own way.
struct Fragile(u32);

impl netref::Object for Fragile {
    fn class(&self) -> Arc<netref::Class> {
        Greeter.class()
    }

    fn call_method(&self, name: &str, args: netref::Args) -> Result<netref::Value> {
        Greeter.call_method(name, args)
    }
}

impl Service for Fragile {
    fn connected(&self, _: &Connection) -> Result<()> {
        assert_ne!(self.0, 2, "panics when its client comes");
        Ok(())
    }

    fn disconnected(&self, _: &netref::threads::Closed) {
        assert_ne!(self.0, 3, "panics when its client goes");
    }
}

/// They were not counted; and a tokio server that was stopped before it had noticed ended with their panic.
#[test]
fn services_that_panic_lose_their_own_client_only() {
    for driver in DRIVERS {
        let number = AtomicU32::new(0);
        let service = move || {
            let number = number.fetch_add(1, Ordering::Relaxed) + 1;
            assert_ne!(number, 1, "panics when it is made");
            Arc::new(Fragile(number))
        };
        let server = Running::start(driver, ANY_PORT, Options::new(), service);
        for _ in 0..2 {
            let refused = netref::connect(&server.url()).unwrap().root();
            assert!(matches!(refused, Err(Error::Closed(_))), "{refused:?}");
        }
        for _ in 0..2 {
            assert_eq!(greeting(driver, &Options::new(), &server.url()).unwrap(), "Hello, you!");
        }
        while server.stats().clients > 0 {
            thread::yield_now();
        }
        let stats = server.stats();
        assert_eq!((stats.accepted, stats.failed, stats.served), (4, 2, 2), "{driver:?}");
    }
}

/// Takes its time, and can stop its server.
struct Slow {
    begun: Mutex<mpsc::Sender<()>>,
    over: Mutex<mpsc::Receiver<()>>,
    server: Mutex<Option<Running>>,
}

#[netref::service]
impl Slow {
    fn wait(&self) -> bool {
        self.begun.lock().unwrap().send(()).unwrap();
        self.over.lock().unwrap().recv_timeout(Duration::from_secs(20)).is_ok()
    }

    fn stop(&self) -> &'static str {
        if let Some(server) = self.server.lock().unwrap().take() {
            server.stop_gracefully(Duration::from_secs(20));
        }
        "stopped"
    }
}

struct Stage {
    server: Running,
    root: netref::Remote,
    waiting: thread::JoinHandle<Result<bool>>,
    end: mpsc::Sender<()>,
}

/// A client whose request is under way.
fn busy_server(driver: Driver) -> Stage {
    let (begun, has_begun) = mpsc::channel();
    let (end, over) = mpsc::channel();
    let service =
        Arc::new(Slow { begun: Mutex::new(begun), over: Mutex::new(over), server: Mutex::default() });
    let shared = service.clone();
    let server = Running::start(driver, ANY_PORT, Options::new(), move || shared.clone());
    *service.server.lock().unwrap() = Some(server.clone());
    let root = netref::connect(&server.url()).unwrap().root().unwrap();
    let caller = root.clone();
    let waiting = thread::spawn(move || caller.call_method("wait", ())?.extract::<bool>());
    has_begun.recv_timeout(Duration::from_secs(20)).unwrap();
    Stage { server, root, waiting, end }
}

#[test]
fn a_graceful_end_lets_requests_finish() {
    for driver in DRIVERS {
        let Stage { server, root, waiting, end } = busy_server(driver);
        // The request that stops the server is answered, and so is the one that is under way.
        assert_eq!(root.call_method("stop", ()).unwrap().extract::<String>().unwrap(), "stopped");
        let refused = loop {
            match root.call_method("stop", ()) {
                Ok(_) => thread::yield_now(),
                Err(error) => break error.to_string(),
            }
        };
        assert!(refused.contains("shutting down"), "{refused}");
        assert!(matches!(netref::connect(&server.url()), Err(Error::Connect { .. })));
        end.send(()).unwrap();
        assert!(waiting.join().unwrap().unwrap());
        while server.stats().clients > 0 {
            thread::yield_now();
        }
        assert!(matches!(root.call_method("stop", ()), Err(Error::Closed(_))));
    }
}

/// Its program ends when it does, and with that the requests.
#[test]
fn a_server_runs_until_its_graceful_end_is_over() {
    let (begun, has_begun) = mpsc::channel();
    let (end, over) = mpsc::channel();
    let service =
        Arc::new(Slow { begun: Mutex::new(begun), over: Mutex::new(over), server: Mutex::default() });
    let server = Server::bind_shared(ANY_PORT, service).unwrap();
    let is_answered = Arc::new(AtomicBool::new(false));
    let (run, answered) = (server.clone(), is_answered.clone());
    let running = thread::spawn(move || {
        run.run();
        answered.load(Ordering::SeqCst)
    });
    let root = netref::connect(&server.address().to_string()).unwrap().root().unwrap();
    let caller = root.clone();
    let waiting = thread::spawn(move || caller.call_method("wait", ())?.extract::<bool>());
    has_begun.recv_timeout(Duration::from_secs(20)).unwrap();
    let ending = thread::spawn(move || server.stop_gracefully(Duration::from_secs(20)));
    while root.call_method("stop", ()).is_ok() {
        thread::yield_now();
    }
    is_answered.store(true, Ordering::SeqCst);
    end.send(()).unwrap();
    assert!(running.join().unwrap(), "it ended with a request under way");
    assert!(waiting.join().unwrap().unwrap());
    ending.join().unwrap();
}

#[test]
fn a_grace_has_an_end() {
    for driver in DRIVERS {
        let Stage { server, waiting, end, .. } = busy_server(driver);
        server.stop_gracefully(Duration::from_millis(100));
        let error = waiting.join().unwrap().unwrap_err();
        assert!(matches!(error, Error::Closed(_)), "{error}");
        end.send(()).unwrap();
    }
}
