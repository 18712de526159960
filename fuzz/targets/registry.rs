//! Any datagram is a command or an answer of the registry, or refused; what was read is written and read again.

use netref_core::registry::{Answer, Command};

/// Runs the target on one input; a panic is a finding.
pub fn run(datagram: &[u8]) {
    if let Ok(command) = Command::from_bytes(datagram) {
        let bytes = command.to_bytes().expect("what was read can be written");
        assert_eq!(Command::from_bytes(&bytes), Ok(command));
    }
    let asked = [
        Command::Query { name: String::new() },
        Command::Register { names: Vec::new(), port: 1 },
        Command::Unregister { port: 1 },
        Command::List { host: None },
    ];
    for command in asked {
        if let Ok(answer) = Answer::from_bytes(&command, datagram) {
            let bytes = answer.to_bytes().expect("what was read can be written");
            assert_eq!(Answer::from_bytes(&command, &bytes), Ok(answer));
        }
    }
}
