//! What every node is told on its command line: who it is, who the others are, where its data lies.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;

/// Options that all nodes have.
#[derive(Args, Clone, Debug)]
pub struct Common {
    /// This node's name, one of --peers
    #[arg(long)]
    pub id: String,
    /// All nodes, this one too: NAME=ADDRESS:PORT,… (for each other)
    #[arg(long)]
    pub peers: Peers,
    /// Where clients are served: ADDRESS:PORT
    #[arg(long)]
    pub http: SocketAddr,
    /// Where the log is kept
    #[arg(long)]
    pub data_dir: PathBuf,
    /// How long a request may take, milliseconds
    #[arg(long, default_value_t = 5000)]
    pub request_timeout: u64,
}

/// All nodes of the cluster. The libraries number nodes from 1; here the number is the place among the sorted names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peers(Vec<(String, SocketAddr)>);

impl std::str::FromStr for Peers {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut peers = Vec::new();
        for part in text.split(',') {
            let (name, address) = part.split_once('=').ok_or_else(|| format!("`{part}`: write NAME=ADDRESS:PORT"))?;
            let address = address.parse().map_err(|error| format!("`{part}`: {error}"))?;
            peers.push((name.to_owned(), address));
        }
        peers.sort();
        match peers.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            Some(pair) => Err(format!("`{}` is there twice", pair[0].0)),
            None => Ok(Self(peers)),
        }
    }
}

impl Peers {
    /// All nodes: number and address for peers.
    pub fn iter(&self) -> impl Iterator<Item = (u64, SocketAddr)> {
        (1..).zip(self.0.iter().map(|(_, address)| *address))
    }

    /// The number of the node with this name.
    #[must_use]
    pub fn number(&self, name: &str) -> Option<u64> {
        (1..).zip(&self.0).find(|(_, (known, _))| known == name).map(|(number, _)| number)
    }

    /// The name of the node with this number; `None` for 0, which the libraries use for "nobody".
    #[must_use]
    pub fn name(&self, number: u64) -> Option<String> {
        let place = usize::try_from(number.checked_sub(1)?).ok()?;
        self.0.get(place).map(|(name, _)| name.clone())
    }

    /// Where the node with this number listens for peers.
    #[must_use]
    pub fn address(&self, number: u64) -> Option<SocketAddr> {
        self.iter().find(|(known, _)| *known == number).map(|(_, address)| address)
    }
}

/// The version of a package in a `Cargo.lock`, so that a program cannot be wrong about the library in it.
#[must_use]
pub fn locked_version<'lock>(lock: &'lock str, package: &str) -> Option<&'lock str> {
    let (_, rest) = lock.split_once(&format!("name = \"{package}\"\nversion = \""))?;
    rest.split('"').next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_are_numbered_by_name_whatever_their_order() {
        let peers: Peers = "n2=10.0.0.2:7000,n1=10.0.0.1:7000".parse().unwrap();
        assert_eq!((peers.number("n1"), peers.number("n2"), peers.number("n3")), (Some(1), Some(2), None));
        assert_eq!((peers.name(0), peers.name(2).as_deref(), peers.name(3)), (None, Some("n2"), None));
        assert_eq!(peers.address(2), "10.0.0.2:7000".parse().ok());
    }

    #[test]
    fn a_peer_without_address_or_twice_is_refused() {
        assert!("n1".parse::<Peers>().unwrap_err().contains("NAME=ADDRESS:PORT"));
        assert!("n1=10.0.0.1".parse::<Peers>().unwrap_err().contains("n1=10.0.0.1"));
        assert!("n1=1.1.1.1:1,n1=1.1.1.2:1".parse::<Peers>().unwrap_err().contains("twice"));
    }

    #[test]
    fn the_version_is_the_packages_own() {
        let lock = "name = \"raft-proto\"\nversion = \"0.1.0\"\n\nname = \"raft\"\nversion = \"0.7.0\"\n";
        assert_eq!((locked_version(lock, "raft"), locked_version(lock, "ra")), (Some("0.7.0"), None));
    }
}
