//! One client's connection to the broker, made anew whenever it has ended.

use std::rc::Rc;
use std::time::Duration;

use client::{Answered, CallError, Connection, ConnectionOptions};
use runtime::{sleep, with_rng};
use wire::{ErrorCode, RequestMessage, Text};

use super::{Context, next};

const REQUEST_TIMEOUT: Duration = Duration::from_secs(4);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
const IN_FLIGHT_MAX: usize = 8;

pub(super) struct Peer {
    pub(super) context: Rc<Context>,
    connection: Option<(Connection, u64)>,
}

impl Peer {
    pub(super) fn new(context: &Rc<Context>) -> Peer {
        Peer { context: context.clone(), connection: None }
    }

    /// The connection, and its number in the run. Tries until there is one.
    pub(super) async fn connection(&mut self) -> (Connection, u64) {
        loop {
            match &self.connection {
                Some((connection, number)) if connection.end().is_none() => {
                    return (connection.clone(), *number);
                }
                _ => self.connection = None,
            }
            let options = ConnectionOptions {
                in_flight_max: IN_FLIGHT_MAX,
                request_timeout: REQUEST_TIMEOUT,
                connect_timeout: CONNECT_TIMEOUT,
                ..ConnectionOptions::new(Text::from("simulated".to_owned()))
            };
            let number = next(&self.context.connections_count);
            match Connection::connect(self.context.broker, options).await {
                Ok(connection) => self.connection = Some((connection, number)),
                Err(_) => {
                    let pause = Duration::from_millis(10 + with_rng(|rng| rng.below(100)));
                    sleep(pause).await;
                }
            }
        }
    }

    /// The next request goes over another connection.
    pub(super) fn hang_up(&mut self) {
        self.connection = None;
    }

    /// Asks once, at any version that both sides speak.
    pub(super) async fn ask<R: RequestMessage>(
        &mut self,
        request: &R,
    ) -> Result<R::Response, CallError> {
        self.ask_from(R::API.versions().min, request).await
    }

    /// Asks once, at any version from this one on.
    pub(super) async fn ask_from<R: RequestMessage>(
        &mut self,
        version_min: i16,
        request: &R,
    ) -> Result<R::Response, CallError> {
        self.ask_at(any_version::<R>(version_min), request).await
    }

    /// Asks once, at this version.
    pub(super) async fn ask_at<R: RequestMessage>(
        &mut self,
        version: i16,
        request: &R,
    ) -> Result<R::Response, CallError> {
        let (connection, _) = self.connection().await;
        let answer = match connection.start_up_to(version, request) {
            Ok(answer) => answer.await,
            Err(error) => Err(error),
        };
        self.note(&answer);
        answer.map(|answered| answered.response)
    }

    /// Asks until there is an answer, at any version from this one on.
    pub(super) async fn ask_on<R: RequestMessage>(
        &mut self,
        version_min: i16,
        request: &R,
    ) -> R::Response {
        loop {
            if let Ok(response) = self.ask_from(version_min, request).await {
                return response;
            }
        }
    }

    /// Counts an operation, and gives the connection up if it has failed.
    pub(super) fn note<T>(&mut self, answer: &Result<Answered<T>, CallError>) {
        self.context.history.borrow_mut().operations_count += 1;
        match answer {
            Ok(_) => {}
            Err(CallError::Ended(_)) => self.hang_up(),
            Err(error) => {
                let absurd = format!("a request failed by itself: {error}");
                self.context.history.borrow_mut().absurd.push(absurd);
                self.hang_up();
            }
        }
    }

    /// Notes a code that no client should see.
    pub(super) fn note_absurd(&self, what: &str, code: ErrorCode) {
        let absurd = format!("{what} was answered with {code}");
        self.context.history.borrow_mut().absurd.push(absurd);
    }
}

/// The latest version in most cases, any from the given one on sometimes.
pub(super) fn any_version<R: RequestMessage>(version_min: i16) -> i16 {
    let version_max = R::API.versions().max;
    with_rng(|rng| match rng.one_in(3) {
        false => version_max,
        true => {
            let count = u64::try_from(version_max - version_min + 1).expect("there is a version");
            version_min + i16::try_from(rng.below(count)).expect("few versions")
        }
    })
}
