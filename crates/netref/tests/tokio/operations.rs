//! Every operation, in every pairing of drivers.

use std::sync::Arc;

use netref::{Comparison, Error, Value, aio};

use crate::lab::Lab;
use crate::{on_both_flavors, pair, thread_client, thread_server, tokio_server};

#[test]
fn tokio_to_tokio() {
    on_both_flavors(|| async {
        let url = tokio_server(|| Lab).await;
        exercise(&aio::connect(&url).await.unwrap(), "Lab").await;
    });
}

#[test]
fn tokio_to_tokio_over_a_unix_socket() {
    on_both_flavors(|| async {
        let path = std::env::temp_dir().join(format!("netref-aio-{}.sock", std::process::id()));
        let url = format!("unix://{}", path.display());
        let server = aio::Server::bind(&url, || Lab).await.unwrap();
        let running = tokio::spawn({
            let server = server.clone();
            async move { server.run().await }
        });
        exercise(&aio::connect(&url).await.unwrap(), "Lab").await;
        server.stop();
        running.await.unwrap();
        drop(server);
        assert!(!path.exists(), "the server takes its socket's name away");
    });
}

#[test]
fn tokio_to_threads() {
    on_both_flavors(|| async {
        let url = thread_server(|| Lab);
        exercise(&aio::connect(&url).await.unwrap(), "Lab").await;
    });
}

#[test]
fn threads_to_tokio() {
    on_both_flavors(|| async {
        let url = tokio_server(|| Lab).await;
        exercise(&thread_client(&url).await, "Lab").await;
    });
}

#[test]
fn items_without_end_are_not_collected() {
    on_both_flavors(|| async {
        let mut limits = netref::protocol::Limits::default();
        limits.max_decoded = 1 << 20;
        let items = netref::Options::new().service(netref::iterator(0..200_000));
        let (conn, _serving) = pair(&netref::Options::new().limits(limits), &items);
        let items = conn.root().await.unwrap().iter().await.unwrap().prefetched();
        let text = items.collect::<i64>().await.map(|items| items.len()).unwrap_err().to_string();
        assert!(text.contains("limit max_decoded"), "{text}");
    });
}

/// The blocking face of a connection that tasks drive, used where blocking is allowed.
#[test]
fn blocking_operations_on_a_connection_of_tasks() {
    on_both_flavors(|| async {
        let conn = aio::connect(&tokio_server(|| Lab).await).await.unwrap();
        let blocking = netref::Connection::from(conn);
        aio::spawn_blocking(move || {
            let root = blocking.root().unwrap();
            let doubled = netref::function(|n: i64| 2 * n);
            assert_eq!(root.call_method("call", (doubled, 21)).unwrap(), Value::Int(42));
            blocking.ping().unwrap();
            let never = aio::function(std::future::pending::<()>);
            blocking.set_timeout(Some(std::time::Duration::ZERO));
            assert!(matches!(root.call_method("call", (never,)), Err(Error::TimedOut { .. })));
            blocking.set_timeout(None);
            assert_eq!(root.call_method("add", (1, 2)).unwrap(), Value::Int(3));
            blocking.close();
            assert!(matches!(root.call_method("add", (1, 2)), Err(Error::Closed(_))));
        })
        .await;
    });
}

/// Every operation of `aio::Remote` and `aio::Connection`, on a lab of whatever peer.
pub(crate) async fn exercise(conn: &aio::Connection, class: &str) {
    conn.ping().await.unwrap();
    let root = conn.root().await.unwrap();
    assert_eq!(conn.root().await.unwrap(), root);
    assert!(root.class_name().ends_with(class), "{root:?}");
    assert!(root.id_pack().name.ends_with(class));
    assert!(conn.closed().is_none());
    assert!(conn.stats().round_trips >= 2);

    // Calls, values, errors.
    assert_eq!(root.call_method("add", (40, 2)).await.unwrap(), Value::Int(42));
    let add: aio::Remote = root.get_attr("add").await.unwrap().extract().unwrap();
    assert_eq!(add.call((1, 2)).await.unwrap(), Value::Int(3));
    assert_eq!(add.call(netref::Args::new((1,)).named("b", 5)).await.unwrap(), Value::Int(6));
    let text: String = root.call_method("echo", ("héllo",)).await.unwrap().extract().unwrap();
    assert_eq!(text, "héllo");
    let error = root.call_method("fail", ("no",)).await.unwrap_err();
    assert!(error.exception().unwrap().is("ValueError"), "{error}");
    assert!(error.exception().unwrap().traceback().contains("fail"), "{error:?}");
    let error = root.get_attr("nonsense").await.unwrap_err();
    assert!(error.exception().unwrap().is("AttributeError"), "{error}");
    let mine = netref::function(|| ());
    let same: netref::ObjectRef = root.call_method("echo", (mine.clone(),)).await.unwrap().extract().unwrap();
    assert!(Arc::ptr_eq(&mine, &same), "an object comes home as itself");

    // Containers.
    let shelf: aio::Remote = root.call_method("shelf", ()).await.unwrap().extract().unwrap();
    assert!(shelf.is_empty().await.unwrap());
    for (key, value) in [("a", 1), ("b", 2), ("c", 3)] {
        shelf.set_item(key, value).await.unwrap();
    }
    shelf.del_item("b").await.unwrap();
    assert_eq!(shelf.len().await.unwrap(), 2);
    assert_eq!(shelf.get_item("c").await.unwrap(), Value::Int(3));
    assert!(shelf.get_item("b").await.unwrap_err().exception().unwrap().is("KeyError"));
    assert!(shelf.contains("a").await.unwrap() && !shelf.contains("b").await.unwrap());
    let mut keys = Vec::new();
    let mut iterator = shelf.iter().await.unwrap();
    while let Some(key) = iterator.next().await {
        keys.push(key.unwrap().extract::<String>().unwrap());
    }
    assert_eq!(keys, ["a", "c"]);
    assert!(iterator.next().await.is_none());
    let keys: Vec<String> = shelf.iter().await.unwrap().prefetched().collect().await.unwrap();
    assert_eq!(keys, ["a", "c"]);
    let iterator = shelf.iter().await.unwrap().as_remote();
    assert_eq!(iterator.next_items(1).await.unwrap().len(), 1);

    // What every object has.
    assert_eq!(shelf.repr().await.unwrap(), "<a shelf>");
    assert_eq!(shelf.str().await.unwrap(), "<a shelf>");
    assert_eq!(shelf.hash().await.unwrap(), 42);
    assert!(shelf.compare(Comparison::Eq, 7).await.unwrap());
    assert!(!shelf.compare(Comparison::Eq, 8).await.unwrap());
    assert!(matches!(shelf.compare(Comparison::Lt, 8).await, Err(Error::Conversion { .. })));
    assert!(shelf.dir().await.unwrap().contains(&"__len__".to_owned()));
    let methods = shelf.methods().await.unwrap();
    assert!(methods.iter().any(|(name, _)| name == "__getitem__"), "{methods:?}");

    // Attributes.
    assert!(shelf.get_attr("label").await.is_err());
    shelf.set_attr("label", "tools").await.unwrap();
    assert_eq!(shelf.get_attr("label").await.unwrap(), Value::Str("tools".into()));
    shelf.del_attr("label").await.unwrap();
    assert!(shelf.get_attr("label").await.is_err());

    // `with`: an error is suppressed.
    let entered = shelf.with(|entered| async { entered.extract::<String>() }).await.unwrap();
    assert_eq!(entered.as_deref(), Some("entered"));
    let suppressed = shelf.with(async |_| Err::<(), _>(Error::raise("ValueError", "x"))).await.unwrap();
    assert!(suppressed.is_none());
    shelf.del_attr("label").await.unwrap();
    let within = shelf.clone();
    let panicking = tokio::spawn(async move { within.with::<(), _>(async |_| panic!("in the block")).await });
    assert!(panicking.await.unwrap_err().is_panic());
    assert_eq!(shelf.get_attr("label").await.unwrap(), Value::Str("broken".into()));

    // Callbacks, of both kinds.
    let triple = netref::function(|n: i64| 3 * n);
    assert_eq!(root.call_method("call", (triple, 5)).await.unwrap(), Value::Int(15));
    let triple = aio::function(|n: i64| async move { 3 * n });
    assert_eq!(root.call_method("call", (triple, 5)).await.unwrap(), Value::Int(15));
    let failing = aio::function(|| async { Err::<(), _>(Error::raise("LookupError", "gone")) });
    let error = root.call_method("call", (failing,)).await.unwrap_err();
    assert!(error.exception().unwrap().is("LookupError"), "{error}");
    let wrong = aio::function(|n: i64| async move { n });
    let error = root.call_method("call", (wrong, "text")).await.unwrap_err();
    assert!(error.exception().unwrap().is("TypeError"), "{error}");
    // Items that an argument has over there are fetched where that may block.
    let join = aio::function(|keys: Vec<String>| async move { keys.concat() });
    assert_eq!(root.call_method("call", (join, &shelf)).await.unwrap(), Value::Str("ac".into()));
    let panicking = aio::function(|n: i64| async move { assert_eq!(n, 0, "a panic is no end") });
    let error = root.call_method("call", (panicking, 1)).await.unwrap_err();
    assert!(error.to_string().contains("a panic is no end"), "{error}");

    // Callbacks inside callbacks, three levels deep.
    let (lab, inner) = (root.clone(), Arc::new(std::sync::OnceLock::<netref::ObjectRef>::new()));
    let function = inner.clone();
    let descend = aio::function(move |depth: i64| {
        let (lab, function) = (lab.clone(), function.get().unwrap().clone());
        async move { lab.call_method("relay", (function, depth)).await }
    });
    inner.set(descend.clone()).unwrap();
    assert_eq!(root.call_method("relay", (descend, 3)).await.unwrap(), Value::Str("bottom".into()));
    let (lab, inner) = (netref::Remote::from(root.clone()), Arc::new(std::sync::OnceLock::new()));
    let function = inner.clone();
    let descend = netref::function(move |depth: i64| {
        let function: &netref::ObjectRef = function.get().unwrap();
        lab.call_method("relay", (function.clone(), depth))
    });
    inner.set(descend.clone()).unwrap();
    assert_eq!(root.call_method("relay", (descend, 3)).await.unwrap(), Value::Str("bottom".into()));
}

/// It is moved into its task, and through each function that it is made of: once it was twice as large, which was a fifth of what a
/// client with many calls under way did.
#[tokio::test]
async fn the_future_of_a_call_is_small() {
    let url = tokio_server(|| Lab).await;
    let root = aio::connect(&url).await.unwrap().root().await.unwrap();
    let size = size_of_val(&root.call_method("add", (1, 2)));
    assert!(size <= 1000, "{size} bytes");
}
