//! Two connections' worth of the main job, in one process.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test")]
use netref::*;
use std::sync::{Arc, Mutex};

struct LineCounter;
impl Object for LineCounter {
    fn class(&self) -> Arc<Class> {
        Class::new("LineCounter").method("line_counter", "").method("echo", "").into()
    }
    fn call_method(&self, name: &str, mut args: Args) -> Result<Value> {
        match name {
            "line_counter" => {
                let file: Remote = args.required("file")?;
                let function: Remote = args.required("function")?;
                let mut count = 0;
                for line in file.call_method("readlines", ())?.extract::<Remote>()?.iter()? {
                    function.call((line?,))?;
                    count += 1;
                }
                Ok(Value::Int(count))
            }
            "echo" => args.required("x"),
            _ => Err(Error::raise("AttributeError", name)),
        }
    }
}
impl Service for LineCounter {}

struct Lines;
impl Object for Lines {
    fn class(&self) -> Arc<Class> {
        Class::new("Lines").method("readlines", "").into()
    }
    fn call_method(&self, _: &str, _: Args) -> Result<Value> {
        Ok(Value::Object(iterator(["Simple\n", "is\n", "better\n"])))
    }
}

#[test]
fn main_job() {
    let server = Server::bind("tcp://127.0.0.1:0", || LineCounter).unwrap();
    let url = server.address().to_string();
    let running = server.clone();
    std::thread::spawn(move || running.run());
    let conn = connect(&url).unwrap();
    let heard = Arc::new(Mutex::new(Vec::new()));
    let noisy = {
        let heard = heard.clone();
        function(move |line: String| heard.lock().unwrap().push(line))
    };
    let root = conn.root().unwrap();
    let count: u64 = root.call_method("line_counter", (Arc::new(Lines), noisy)).unwrap().extract().unwrap();
    assert_eq!(count, 3);
    assert_eq!(*heard.lock().unwrap(), ["Simple\n", "is\n", "better\n"]);
    conn.ping().unwrap();
    let error = root.call_method("nope", ()).unwrap_err();
    assert!(error.exception().unwrap().is("AttributeError"), "{error}");
    println!("{error:?}");
    let t = std::time::Instant::now();
    for i in 0..20000 {
        let v: i64 = root.call_method("echo", (i,)).unwrap().extract().unwrap();
        assert_eq!(v, i);
    }
    println!("echo {:?}", t.elapsed() / 20000);
    println!("{:?}", conn.stats());
    conn.close();
    server.stop();
}
