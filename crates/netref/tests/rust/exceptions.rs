//! Errors and panics as exceptions, in both directions.

use netref::{Error, Exception, IntoValue, Value, function};

use crate::lab::{both_ends, raised};

#[test]
fn an_error_of_a_service_is_raised_here() {
    let (conn, _server) = both_ends();
    let lab = conn.root().unwrap();
    let error = lab.call_method("raise", ("ValueError", "too loud")).unwrap_err();
    let exception = error.exception().unwrap();
    assert_eq!(exception.class(), "ValueError");
    assert_eq!(exception.args(), ["too loud".into_value()]);
    assert!(exception.traceback().contains("lab.Lab.raise"), "{}", exception.traceback());
}

#[test]
fn a_panic_is_raised_and_the_server_goes_on() {
    let (conn, _server) = both_ends();
    let lab = conn.root().unwrap();
    let error = lab.call_method("panic", ("the roof is on fire",)).unwrap_err();
    assert!(error.exception().unwrap().is("RuntimeError"));
    assert!(error.to_string().contains("the roof is on fire"), "{error}");
    assert_eq!(lab.call_method("add", (1, 1)).unwrap(), Value::Int(2));
}

#[test]
fn an_error_of_a_callback_passes_through_the_server() {
    let (conn, _server) = both_ends();
    let lab = conn.root().unwrap();
    let overload = Exception::of_class("scope.errors", "Overload").with_arg(9).with_attribute("channel", "A");
    let fails = {
        let overload = overload.clone();
        function(move || Err::<(), Error>(overload.clone().into()))
    };
    let error = lab.call_method("call", (fails,)).unwrap_err();
    let exception = error.exception().unwrap();
    assert_eq!(exception.class(), "scope.errors.Overload");
    assert_eq!(exception.args(), overload.args());
    assert_eq!(exception.attribute("channel"), Some(&"A".into_value()));
    let numbered = exception.traceback().contains("========= Remote Traceback (1) =========");
    assert!(numbered, "both legs of the way: {}", exception.traceback());
}

#[test]
fn a_panic_of_a_callback_passes_through_too() {
    let (conn, _server) = both_ends();
    let lab = conn.root().unwrap();
    let panics = function(|| {
        if true {
            panic!("here")
        }
    });
    assert_eq!(raised(lab.call_method("call", (panics,))), "RuntimeError");
    conn.ping().unwrap();
}

#[test]
fn every_error_becomes_the_exception_that_python_has_for_it() {
    let (conn, _server) = both_ends();
    let lab = conn.root().unwrap();
    let class = |error: fn() -> Error| {
        raised(lab.call_method("call", (function(move || Err::<(), Error>(error())),)))
    };
    assert_eq!(class(|| Value::Int(1).extract::<String>().unwrap_err()), "TypeError");
    assert_eq!(class(|| std::io::Error::from(std::io::ErrorKind::NotFound).into()), "FileNotFoundError");
    assert_eq!(class(|| netref::File::open("/nonexistent/file").unwrap_err()), "FileNotFoundError");
    assert_eq!(class(|| "nowhere".parse::<netref::Address>().unwrap_err()), "RuntimeError");
    assert_eq!(class(|| Exception::new("KeyboardInterrupt").into()), "KeyboardInterrupt");
}

#[test]
fn an_os_error_carries_what_pythons_does() {
    let (conn, _server) = both_ends();
    let opens = function(|path: String| netref::File::open(path));
    let error = conn.root().unwrap().call_method("call", (opens, "/nonexistent/file")).unwrap_err();
    let exception = error.exception().unwrap();
    assert_eq!(exception.args(), [2.into_value(), "No such file or directory".into_value()]);
    assert_eq!(exception.attribute("errno"), Some(&2.into_value()));
    assert_eq!(exception.attribute("filename"), Some(&"/nonexistent/file".into_value()));
    let text = "FileNotFoundError: [Errno 2] No such file or directory: '/nonexistent/file'";
    assert_eq!(error.to_string(), text);
}

#[test]
fn arguments_that_are_objects_are_sent_as_text() {
    let (conn, _server) = both_ends();
    let fails = function(|| {
        let list = netref::List::from(vec![1, 2]);
        Err::<(), Error>(Exception::new("ValueError").with_arg(&list).into())
    });
    let error = conn.root().unwrap().call_method("call", (fails,)).unwrap_err();
    assert_eq!(error.exception().unwrap().args(), ["[1, 2]".into_value()]);
}
