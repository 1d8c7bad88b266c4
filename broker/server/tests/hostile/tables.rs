//! What is sent, by name, and what is to become of it.

use std::io::Write;
use std::net::Shutdown;

use crate::support::{Broker, Client};

/// The end of a connection that was sent something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expected {
    /// It is closed, without an answer.
    Closed,
    /// An answer with the request's correlation id, and the connection goes on.
    Answered,
    /// An answer, and then it is closed.
    AnsweredAndClosed,
}

/// One line of a table.
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) bytes: Vec<u8>,
    /// Whether the client ends its side then.
    pub(crate) ends: bool,
    pub(crate) expected: Expected,
}

pub(crate) fn case(name: impl Into<String>, bytes: Vec<u8>, expected: Expected) -> Case {
    Case { name: name.into(), bytes, ends: false, expected }
}

/// The correlation id of every request of a table.
pub(crate) const CORRELATION_ID: i32 = 0x0107_0905;

/// What becomes of it. `Err` is what was not expected at all.
fn outcome(broker: &Broker, case: &Case) -> Result<Expected, String> {
    let mut client = broker.connect();
    // The broker may close while we write.
    let _ = client.stream.write_all(&case.bytes);
    if case.ends {
        let _ = client.stream.shutdown(Shutdown::Write);
    }
    let Some(frame) = client.try_receive_frame()? else { return Ok(Expected::Closed) };
    let found = frame.first_chunk().map(|id| i32::from_be_bytes(*id));
    if found != Some(CORRELATION_ID) {
        return Err(format!("answered with the correlation id {found:?}"));
    }
    if case.expected == Expected::AnsweredAndClosed {
        return match client.try_receive_frame()? {
            None => Ok(Expected::AnsweredAndClosed),
            Some(_) => Err("answered twice".to_owned()),
        };
    }
    goes_on(&mut client).map(|()| Expected::Answered)
}

/// ApiVersions 0, which has no body, is answered.
fn goes_on(client: &mut Client) -> Result<(), String> {
    let question = frame(&header(18, 0, &NO_CLIENT_ID));
    client.stream.write_all(&question).map_err(|error| error.to_string())?;
    match client.try_receive_frame()? {
        Some(_) => Ok(()),
        None => Err("answered, but closed then".to_owned()),
    }
}

/// All cases, each on a connection of its own. Says which were not as expected.
pub(crate) fn check(broker: &Broker, cases: &[Case]) {
    let mut names: Vec<&str> = cases.iter().map(|case| case.name.as_str()).collect();
    names.sort_unstable();
    let repeated: Vec<_> = names.windows(2).filter(|pair| pair[0] == pair[1]).collect();
    assert!(repeated.is_empty(), "names of cases: {repeated:?}");
    let mut wrong = Vec::new();
    for case in cases {
        let found = outcome(broker, case);
        if found != Ok(case.expected) {
            wrong.push(format!("{}: {:?} expected, {found:?}", case.name, case.expected));
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

pub(crate) const NO_CLIENT_ID: [u8; 2] = [0xff, 0xff];

/// Up to the client id, which comes as it stands in a frame.
pub(crate) fn header(api_key: i16, version: i16, client_id: &[u8]) -> Vec<u8> {
    let key = [api_key.to_be_bytes(), version.to_be_bytes()].concat();
    [&key[..], &CORRELATION_ID.to_be_bytes(), client_id].concat()
}

/// With its size in front.
pub(crate) fn frame(bytes: &[u8]) -> Vec<u8> {
    sized(i32::try_from(bytes.len()).unwrap(), bytes)
}

/// With some size in front.
pub(crate) fn sized(size_bytes: i32, bytes: &[u8]) -> Vec<u8> {
    [&size_bytes.to_be_bytes()[..], bytes].concat()
}
