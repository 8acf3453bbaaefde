//! Where a daemon listens, as an operator says it: an address, or a name that is looked up.

use std::net::SocketAddr;
use std::str::FromStr;

use crate::outcome::Outcome;

/// `HOST:PORT`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Nothing is to be looked up.
    Address(SocketAddr),
    /// A host's name, and a port.
    Named(String, u16),
}

/// Why a text is no place.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("write HOST:PORT, as in 127.0.0.1:7400, [::1]:7400 or host1:7400")]
pub(crate) struct NoPlace;

impl FromStr for Place {
    type Err = NoPlace;

    fn from_str(text: &str) -> Result<Place, NoPlace> {
        if let Ok(address) = text.parse() {
            return Ok(Place::Address(address));
        }
        let (host, port) = text.rsplit_once(':').ok_or(NoPlace)?;
        let named = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
        if host.is_empty() || !host.chars().all(named) {
            return Err(NoPlace);
        }
        let port = port.parse().map_err(|_| NoPlace)?;
        Ok(Place::Named(host.to_owned(), port))
    }
}

impl Place {
    /// Its address; of a name that has several, the first.
    pub(crate) async fn address(&self) -> Result<SocketAddr, Outcome> {
        let (host, port) = match self {
            Place::Address(address) => return Ok(*address),
            Place::Named(host, port) => (host.as_str(), *port),
        };
        let unknown = |why: String| {
            Outcome::Unreached(format!("no address of the host {host} is known: {why}"))
        };
        let mut found = tokio::net::lookup_host((host, port))
            .await
            .map_err(|error| unknown(error.to_string()))?;
        found
            .next()
            .ok_or_else(|| unknown("it has none".to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_names_are_places_and_nothing_else_is() {
        let address = |text: &str| text.parse().map(Place::Address).map_err(|_| NoPlace);
        let named = |host: &str, port| Ok(Place::Named(host.to_owned(), port));
        for (text, place) in [
            ("127.0.0.1:7400", address("127.0.0.1:7400")),
            ("[::1]:7400", address("[::1]:7400")),
            ("localhost:7400", named("localhost", 7400)),
            ("host-1.example_net:1", named("host-1.example_net", 1)),
            ("7400", Err(NoPlace)),
            (":7400", Err(NoPlace)),
            ("host", Err(NoPlace)),
            ("host:", Err(NoPlace)),
            ("host:70000", Err(NoPlace)),
            ("::1:7400", Err(NoPlace)),
            ("http://host:1", Err(NoPlace)),
            ("", Err(NoPlace)),
        ] {
            assert_eq!(text.parse(), place, "{text}");
        }
    }
}
