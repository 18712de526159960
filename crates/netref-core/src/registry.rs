//! Messages of the service registry: `brine(("RPYC", command, args))` over UDP or TCP.

use crate::brine::{DecodeError, EncodeError, Reader, Token, Writer};
use crate::limits::Limits;

/// UDP and TCP port of the registry.
pub const DEFAULT_PORT: u16 = 18811;
/// Longest datagram.
pub const MAX_DATAGRAM: usize = 1500;
/// Entries not renewed for as many seconds are pruned.
pub const PRUNING_TIMEOUT_SECS: u64 = 240;

const MAGIC: &str = "RPYC";

/// What a client asks of the registry.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Command {
    /// Where a service can be found.
    Query {
        /// Name of the service, in any case.
        name: String,
    },
    /// The sender's host offers services at a port.
    Register {
        /// Names of the services.
        names: Vec<String>,
        /// Their port.
        port: u16,
    },
    /// The sender's host offers nothing at a port any more.
    Unregister {
        /// The port.
        port: u16,
    },
    /// Names of all services, or of those at one host.
    List {
        /// The host, if only one matters.
        host: Option<String>,
    },
}

/// What the registry answers.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Answer {
    /// Done.
    Ok,
    /// Where a service can be found: hosts and ports.
    Servers(Vec<(String, u16)>),
    /// Names of services.
    Names(Vec<String>),
    /// The registry does not allow listing.
    Refused,
}

impl Command {
    /// The command as a datagram.
    ///
    /// # Errors
    /// If a name does not fit.
    pub fn to_bytes(&self) -> Result<Vec<u8>, EncodeError> {
        let mut bytes = Vec::new();
        let mut out = Writer::new(&mut bytes, const { &Limits::compat() });
        out.begin_tuple(3)?;
        out.str(MAGIC)?;
        match self {
            Self::Query { name } => {
                out.str("QUERY")?;
                out.begin_tuple(1)?;
                out.str(name)?;
            }
            Self::Register { names, port } => {
                out.str("REGISTER")?;
                out.begin_tuple(2)?;
                write_names(&mut out, names)?;
                out.int(i64::from(*port));
            }
            Self::Unregister { port } => {
                out.str("UNREGISTER")?;
                out.begin_tuple(1)?;
                out.int(i64::from(*port));
            }
            Self::List { host } => {
                // Stock sends the filter as a tuple of one.
                out.str("LIST")?;
                out.begin_tuple(1)?;
                out.begin_tuple(1)?;
                match host {
                    Some(host) => out.str(host)?,
                    None => out.none(),
                }
                out.end();
            }
        }
        out.end();
        out.end();
        Ok(bytes)
    }

    /// Reads a command.
    ///
    /// # Errors
    /// If the datagram is none.
    pub fn from_bytes(datagram: &[u8]) -> Result<Self, DecodeError> {
        const WHAT: &str = "a registry command (\"RPYC\", command, args)";
        let expected = DecodeError::Expected { expected: WHAT };
        let mut reader = Reader::new(datagram, const { &Limits::strict() });
        if reader.tuple(WHAT)? != 3 || reader.str(WHAT)? != MAGIC {
            return Err(expected);
        }
        let command = reader.str(WHAT)?.to_ascii_uppercase();
        let args = reader.tuple("the arguments of a registry command")?;
        let command = match (command.as_str(), args) {
            ("QUERY", 1) => Self::Query { name: reader.str("a service name")?.to_owned() },
            ("REGISTER", 2) => {
                Self::Register { names: read_names(&mut reader)?, port: read_port(&mut reader)? }
            }
            ("UNREGISTER", 1) => Self::Unregister { port: read_port(&mut reader)? },
            ("LIST", 1) => {
                let filter = match reader.next()? {
                    Token::Tuple(1) => reader.next()?,
                    other => other,
                };
                match filter {
                    Token::None => Self::List { host: None },
                    Token::Str(host) => Self::List { host: Some(host.to_owned()) },
                    _ => return Err(DecodeError::Expected { expected: "a host or None" }),
                }
            }
            _ => return Err(expected),
        };
        reader.finish()?;
        Ok(command)
    }
}

impl Answer {
    /// The answer as a datagram.
    ///
    /// # Errors
    /// If a name does not fit.
    pub fn to_bytes(&self) -> Result<Vec<u8>, EncodeError> {
        let mut bytes = Vec::new();
        let mut out = Writer::new(&mut bytes, const { &Limits::compat() });
        match self {
            Self::Ok => out.str("OK")?,
            Self::Refused => out.none(),
            Self::Names(names) => write_names(&mut out, names)?,
            Self::Servers(servers) => {
                out.begin_tuple(servers.len())?;
                for (host, port) in servers {
                    out.begin_tuple(2)?;
                    out.str(host)?;
                    out.int(i64::from(*port));
                    out.end();
                }
                out.end();
            }
        }
        Ok(bytes)
    }

    /// Reads the answer to `command`.
    ///
    /// # Errors
    /// If the datagram is none.
    pub fn from_bytes(command: &Command, datagram: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(datagram, const { &Limits::strict() });
        let answer = match command {
            Command::Register { .. } | Command::Unregister { .. } => {
                if reader.str("\"OK\"")? != "OK" {
                    return Err(DecodeError::Expected { expected: "\"OK\"" });
                }
                Self::Ok
            }
            Command::Query { .. } => {
                let mut servers = Vec::new();
                for _ in 0..reader.tuple("a tuple of servers")? {
                    if reader.tuple("a server (host, port)")? != 2 {
                        return Err(DecodeError::Expected { expected: "a server (host, port)" });
                    }
                    servers.push((reader.str("a host")?.to_owned(), read_port(&mut reader)?));
                }
                Self::Servers(servers)
            }
            Command::List { .. } if datagram == [0] => return Ok(Self::Refused),
            Command::List { .. } => Self::Names(read_names(&mut reader)?),
        };
        reader.finish()?;
        Ok(answer)
    }
}

fn write_names(out: &mut Writer<'_>, names: &[String]) -> Result<(), EncodeError> {
    out.begin_tuple(names.len())?;
    for name in names {
        out.str(name)?;
    }
    out.end();
    Ok(())
}

fn read_names(reader: &mut Reader<'_>) -> Result<Vec<String>, DecodeError> {
    (0..reader.tuple("a tuple of names")?).map(|_| Ok(reader.str("a service name")?.to_owned())).collect()
}

fn read_port(reader: &mut Reader<'_>) -> Result<u16, DecodeError> {
    u16::try_from(reader.int("a port")?).map_err(|_| DecodeError::OutOfRange("a port"))
}
