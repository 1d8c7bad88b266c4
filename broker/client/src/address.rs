//! Where brokers are: a host, which may be a name, and a port.
//!
//! Does not know: how a name becomes an address. That needs the system's resolver, which blocks, so
//! whoever has one passes it in as a [`Resolve`].

use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::fmt;
use std::str::FromStr;

/// A broker's host and port, as a user writes them and as brokers advertise themselves.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Host {
    /// An address or a name.
    pub name: String,
    pub port: u16,
}

/// Finds the address of a host; none if there is none.
pub type Resolve = fn(&Host) -> Option<SocketAddr>;

/// Why text is not a host and port.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HostError {
    #[error("`{text}` has no port: write HOST:PORT, for example 127.0.0.1:9092")]
    NoPort { text: String },
    #[error("`{port}` in `{text}` is not a port: use a number from 1 to 65535")]
    BadPort { text: String, port: String },
    #[error("`{text}` has no host before the port: write HOST:PORT, for example 127.0.0.1:9092")]
    NoName { text: String },
}

impl FromStr for Host {
    type Err = HostError;

    /// Reads `HOST:PORT`; an IPv6 address stands in brackets.
    fn from_str(text: &str) -> Result<Host, HostError> {
        let (name, port) =
            text.rsplit_once(':').ok_or_else(|| HostError::NoPort { text: text.to_owned() })?;
        let name = name.strip_prefix('[').and_then(|it| it.strip_suffix(']')).unwrap_or(name);
        if name.is_empty() {
            return Err(HostError::NoName { text: text.to_owned() });
        }
        let bad_port = || HostError::BadPort { text: text.to_owned(), port: port.to_owned() };
        let port = port.parse().ok().filter(|&port| port != 0).ok_or_else(bad_port)?;
        Ok(Host { name: name.to_owned(), port })
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.name.contains(':') {
            write!(f, "[{}]:{}", self.name, self.port)
        } else {
            write!(f, "{}:{}", self.name, self.port)
        }
    }
}

/// A [`Resolve`] that needs no system: takes addresses as they are, and `localhost` as 127.0.0.1.
pub fn resolve_literal(host: &Host) -> Option<SocketAddr> {
    if host.name == "localhost" {
        return Some(SocketAddr::from((Ipv4Addr::LOCALHOST, host.port)));
    }
    host.name.parse().ok().map(|address: IpAddr| SocketAddr::from((address, host.port)))
}

#[cfg(test)]
mod tests;
