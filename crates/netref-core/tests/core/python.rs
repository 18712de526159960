//! A Python with stock RPyC, asked one line at a time.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

const VARIABLE: &str = "NETREF_STOCK6_PYTHON";

/// A running `oracle.py`.
#[derive(Debug)]
pub(crate) struct Oracle {
    process: Child,
    questions: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Oracle {
    pub(crate) fn start() -> Self {
        let Ok(python) = std::env::var(VARIABLE) else {
            panic!("set {VARIABLE} to a Python with rpyc==6.0.2, or run the project's test command");
        };
        let mut process = Command::new(&python)
            .args(["-B", "-c", include_str!("oracle.py")])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{VARIABLE} names {python}, which does not start: {error}"));
        let questions = process.stdin.take();
        let answers = BufReader::new(process.stdout.take().unwrap());
        let mut oracle = Self { process, questions, answers };
        assert_eq!(oracle.answer(), "ready", "{VARIABLE} names a Python without a usable rpyc");
        oracle
    }

    pub(crate) fn ask(&mut self, question: &str) -> String {
        writeln!(self.questions.as_mut().unwrap(), "{question}").unwrap();
        self.answer()
    }

    fn answer(&mut self) -> String {
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        line.trim_end_matches('\n').to_owned()
    }
}

impl Drop for Oracle {
    fn drop(&mut self) {
        // It ends by itself when there are no more questions.
        self.questions = None;
        let _ = self.process.wait();
    }
}
