//! The client program: carries out what a test asks for in JSON lines.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::sync::Arc;

use netref::{Args, Connection, Error, IntoValue, Options, Result, Value, Wire};
use serde_json::{Value as Json, json};

use crate::errors::as_exception;
use crate::handles::Handles;
use crate::policy::Policy;
use crate::service::InteropService;
use crate::{IMPLEMENTATION, VERSION, callee, catalogue, operations, tagged};

/// Answers requests until standard input ends.
pub(crate) fn run() -> io::Result<()> {
    say(&json!({"implementation": IMPLEMENTATION, "version": VERSION}))?;
    let mut agent = Agent::default();
    for line in io::stdin().lines() {
        let request = serde_json::from_str(&line?)?;
        say(&agent.answer(&request))?;
    }
    Ok(())
}

fn say(message: &Json) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{message}")?;
    stdout.flush()
}

const OWN_OPERATIONS: [&str; 6] = ["connect", "close", "make", "live", "drop", "reset"];

/// The connections and objects of one test.
#[derive(Default)]
struct Agent {
    connections: BTreeMap<u64, Client>,
    last_connection: u64,
    handles: Handles,
}

/// One connection, with what the agent offers on it.
struct Client {
    connection: Connection,
    service: Arc<InteropService>,
}

impl Client {
    fn close(&self) {
        self.connection.close();
        self.service.detach();
    }
}

/// A request, understood.
struct Command {
    operation: String,
    connection: Option<Connection>,
    args: Args,
}

impl Agent {
    fn answer(&mut self, request: &Json) -> Json {
        let id = &request["id"];
        let command = match self.understand(request) {
            Ok(command) => command,
            Err(fault) => return json!({"id": id, "fault": fault}),
        };
        match self.perform(command) {
            Ok(value) => json!({"id": id, "ok": tagged::encode(&value, &mut self.handles)}),
            Err(error) => json!({"id": id, "error": self.describe(error)}),
        }
    }

    /// Finds out what a request asks for, or why it makes no sense.
    fn understand(&self, request: &Json) -> Result<Command, String> {
        let operation = request["op"].as_str().unwrap_or_default().to_owned();
        if !OWN_OPERATIONS.contains(&operation.as_str()) && !operations::exists(&operation) {
            return Err(format!("unknown operation {operation:?}"));
        }
        let decode = |item| tagged::decode(item, &self.handles);
        let positional = request["args"].as_array().into_iter().flatten().map(decode);
        let mut args = Args::new(positional.collect::<Result<Vec<_>, _>>()?);
        for (name, item) in request["kwargs"].as_object().into_iter().flatten() {
            args = args.named(name, decode(item)?);
        }
        let connection = match &request["conn"] {
            Json::Null => None,
            number => {
                let client = number.as_u64().and_then(|number| self.connections.get(&number));
                let client = client.ok_or_else(|| format!("no such connection: {number}"))?;
                Some(client.connection.clone())
            }
        };
        Ok(Command { operation, connection, args })
    }

    fn perform(&mut self, command: Command) -> Result<Value> {
        let Command { operation, connection, mut args } = command;
        let result = match operation.as_str() {
            "connect" => self.connect(&mut args)?.into_value(),
            "close" => {
                let number: u64 = args.required("number")?;
                let client = self.connections.get(&number);
                client.ok_or_else(|| Error::raise("KeyError", number.to_string()))?.close();
                Value::None
            }
            "make" => {
                let kind: String = args.required("kind")?;
                return catalogue::make(&kind, args.rest(), Policy::Public);
            }
            "live" => catalogue::live(&args.required::<String>("tag")?).into_value(),
            "drop" => {
                self.handles.drop(&args.required("object")?);
                Value::None
            }
            "reset" => {
                self.reset();
                Value::None
            }
            operation => {
                return operations::perform(connection.as_ref(), operation, callee::remaining(&mut args));
            }
        };
        args.finish()?;
        Ok(result)
    }

    fn connect(&mut self, args: &mut Args) -> Result<u64> {
        let host: String = args.required("host")?;
        let port: u16 = args.required("port")?;
        let wire: Option<String> = args.optional("wire")?;
        let policy: Option<String> = args.optional("policy")?;
        let unknown = |what: &str| Error::raise("ValueError", format!("no such {what}"));
        let policy = match policy {
            Some(name) => Policy::named(&name).ok_or_else(|| unknown("policy"))?,
            None => Policy::Public,
        };
        let wire = match wire.as_deref() {
            None => Wire::default(),
            Some("v6") => Wire::V6,
            Some("v5") => Wire::V5,
            Some(_) => return Err(unknown("wire dialect")),
        };
        let service = InteropService::new(policy);
        let options = Options::new().service(service.clone()).rules(policy.rules()).wire(wire);
        let connection = options.connect(&format!("tcp://{host}:{port}"))?;
        service.attach(&connection);
        self.last_connection += 1;
        self.connections.insert(self.last_connection, Client { connection, service });
        Ok(self.last_connection)
    }

    /// Forgets everything, so that the next test starts as with a new agent.
    fn reset(&mut self) {
        for client in std::mem::take(&mut self.connections).values() {
            client.close();
        }
        self.handles.clear();
    }

    fn describe(&mut self, error: Error) -> Json {
        let message = error.to_string();
        let exception = as_exception(error);
        let args: Vec<Json> = exception.args().iter().map(|item| self.encode_plain(item)).collect();
        let public = exception.attributes().filter(|(name, _)| !name.starts_with('_'));
        let attributes: BTreeMap<&str, Json> =
            public.map(|(name, value)| (name, tagged::encode(value, &mut self.handles))).collect();
        json!({
            "type": exception.class(),
            "args": args,
            "attrs": attributes,
            "remote": !exception.traceback().is_empty(),
            "traceback": exception.traceback(),
            "message": message,
        })
    }

    /// Tags an argument of an exception, as its text if it has no by-value form.
    fn encode_plain(&mut self, item: &Value) -> Json {
        match item {
            Value::Object(_) | Value::Remote(_) => json!({"t": "str", "v": item.repr()}),
            plain => tagged::encode(plain, &mut self.handles),
        }
    }
}
