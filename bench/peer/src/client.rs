//! Obeys the commands of `run.py`.

use std::io;
use std::time::Instant;

use serde_json::{Value as Json, json};

use crate::operations::{Body, Failure, Task};
use crate::{Driver, aio};

/// Answers commands until stdin ends.
pub(crate) fn run(driver: Driver) -> io::Result<()> {
    crate::say(&crate::greeting(driver))?;
    let mut body = None;
    for line in io::stdin().lines() {
        let command = serde_json::from_str(&line?)?;
        let answer =
            obey(&command, driver, &mut body).unwrap_or_else(|error| json!({"error": error.to_string()}));
        crate::say(&answer)?;
    }
    Ok(())
}

fn obey(command: &Json, driver: Driver, body: &mut Option<Body>) -> Result<Json, Failure> {
    match command["do"].as_str() {
        Some("prepare") => {
            let operation = command["op"].as_str().ok_or("no op")?;
            let task = task(command)?;
            *body = match driver {
                Driver::Threads => task.prepare(operation)?,
                Driver::Tokio => aio::prepare(task, operation)?,
            };
            Ok(match body {
                Some(_) => json!({"ok": true}),
                None => json!({"unsupported": format!("no operation {operation}")}),
            })
        }
        Some("go") => {
            let body = body.as_mut().ok_or("go before prepare")?;
            let repeat = number(command, "repeat")?;
            let started = Instant::now();
            for _ in 0..repeat {
                body()?;
            }
            Ok(json!({"wall": started.elapsed().as_secs_f64()}))
        }
        Some("finish") => {
            // The connection closes with the last reference to anything on it.
            *body = None;
            Ok(json!({"ok": true}))
        }
        _ => Err("unknown command".into()),
    }
}

fn task(command: &Json) -> Result<Task, Failure> {
    let (host, port) = (command["host"].as_str().ok_or("no host")?, number(command, "port")?);
    let size = usize::try_from(command["size"].as_u64().unwrap_or(0))?;
    Ok(Task { url: format!("tcp://{host}:{port}"), n: i64::try_from(number(command, "n")?)?, size })
}

fn number(command: &Json, field: &str) -> Result<u64, Failure> {
    command[field].as_u64().ok_or_else(|| format!("no number {field}").into())
}
