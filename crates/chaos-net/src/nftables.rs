//! The cut as an nf_tables set: one table, one forward chain, one rule, one set of `(source, destination)` pairs.
//!
//! ```text
//!   table ip chaos {
//!     set cut { type ipv4_addr . ipv4_addr }
//!     chain forward { type filter hook forward priority 0; policy accept; ip saddr . ip daddr @cut counter drop }
//!   }
//! ```
//!
//! The idea: a netlink batch is a transaction of nf_tables; the kernel flips one generation bit at commit, so every
//! packet sees either all of the old set or all of the new one. Replacing the set is "flush, add", in one batch. The rule
//! looks at every packet, not at connections, so it cuts established flows and their acknowledgements too.
//! Refuses connection tracking, and the `nft` binary. Source: `include/uapi/linux/netfilter/nf_tables.h`,
//! `net/netfilter/nfnetlink.c`.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use nix::sys::socket::SockProtocol;

use crate::NetError;
use crate::netlink::{Attributes, Batch, CREATE, DUMP, EXCLUSIVE, NESTED, Socket, attribute, parse_attributes};

const TABLE: &str = "chaos";
const SET: &str = "cut";
const CHAIN: &str = "forward";
const SET_ID: u32 = 1;

const FAMILY_IPV4: u8 = 2;
const SUBSYSTEM: u16 = 10;
const BATCH_BEGIN: u16 = 0x10;
const BATCH_END: u16 = 0x11;
const NEW_TABLE: u16 = SUBSYSTEM << 8;
const DELETE_TABLE: u16 = (SUBSYSTEM << 8) | 2;
const NEW_CHAIN: u16 = (SUBSYSTEM << 8) | 3;
const NEW_RULE: u16 = (SUBSYSTEM << 8) | 6;
const GET_RULE: u16 = (SUBSYSTEM << 8) | 7;
const NEW_SET: u16 = (SUBSYSTEM << 8) | 9;
const NEW_ELEMENTS: u16 = (SUBSYSTEM << 8) | 12;
const GET_ELEMENTS: u16 = (SUBSYSTEM << 8) | 13;
const DELETE_ELEMENTS: u16 = (SUBSYSTEM << 8) | 14;

/// `ipv4_addr . ipv4_addr` in nft's numbering of types, only so that `nft list` can print the set.
const KEY_TYPE: u32 = (7 << 6) | 7;
const LIST_ELEMENT: u16 = 1;
const EXPRESSION_DATA: u16 = 2;
/// An element takes 20 bytes of a list whose length has 16 bits.
const ELEMENTS_PER_MESSAGE: usize = 3000;

/// A directed pair of addresses.
pub(crate) type Pair = (Ipv4Addr, Ipv4Addr);

/// The table in the network namespace where it was installed.
#[derive(Debug)]
pub(crate) struct Nftables {
    socket: Socket,
}

impl Nftables {
    /// Installs the table with an empty set in the calling thread's network namespace.
    pub(crate) fn install() -> Result<Self, NetError> {
        let mut socket = Socket::open(SockProtocol::NetlinkNetFilter)
            .map_err(|error| NetError::system("open an nfnetlink socket", error))?;
        commit(&mut socket, |batch| {
            batch.message(NEW_TABLE, CREATE | EXCLUSIVE, &header(0), "create nf_tables table `chaos`", |table| {
                table.put_str(1, TABLE);
            });
            batch.message(NEW_SET, CREATE | EXCLUSIVE, &header(0), "create nf_tables set `cut`", |set| {
                set.put_str(1, TABLE);
                set.put_str(2, SET);
                put_u32(set, 3, 0);
                put_u32(set, 4, KEY_TYPE);
                put_u32(set, 5, 8);
                put_u32(set, 10, SET_ID);
            });
            batch.message(NEW_CHAIN, CREATE | EXCLUSIVE, &header(0), "create nf_tables chain `forward`", put_chain);
            batch.message(NEW_RULE, CREATE, &header(0), "create the nf_tables rule that drops", put_rule);
        })?;
        Ok(Self { socket })
    }

    /// Makes `pairs` the whole content of the set, in one transaction.
    pub(crate) fn replace(&mut self, pairs: &[Pair]) -> Result<(), NetError> {
        commit(&mut self.socket, |batch| {
            batch.message(DELETE_ELEMENTS, 0, &header(0), "empty the set of cut links", put_set_name);
            for chunk in pairs.chunks(ELEMENTS_PER_MESSAGE) {
                batch.message(NEW_ELEMENTS, CREATE, &header(0), "fill the set of cut links", |set| {
                    put_set_name(set);
                    set.nest(3 | NESTED, |elements| chunk.iter().for_each(|pair| put_element(elements, *pair)));
                });
            }
        })
    }

    /// The set as the kernel has it.
    pub(crate) fn read_back(&mut self) -> Result<BTreeSet<Pair>, NetError> {
        let mut batch = Batch::default();
        batch.message(GET_ELEMENTS, DUMP, &header(0), "list the set of cut links", put_set_name);
        let mut pairs = BTreeSet::new();
        self.socket.dump(batch, |payload| {
            let elements = payload.get(4..).and_then(|attributes| attribute(attributes, 3)).unwrap_or_default();
            pairs.extend(parse_attributes(elements).filter_map(|(_, element)| parse_element(element)));
        })?;
        Ok(pairs)
    }

    /// Packets that the rule has dropped since it was installed.
    pub(crate) fn packets_dropped(&mut self) -> Result<u64, NetError> {
        let mut batch = Batch::default();
        batch.message(GET_RULE, DUMP, &header(0), "read the counter of dropped packets", |rule| {
            rule.put_str(1, TABLE);
            rule.put_str(2, CHAIN);
        });
        let mut packets = None;
        self.socket.dump(batch, |payload| {
            packets = packets.or(payload.get(4..).and_then(parse_counter));
        })?;
        let missing = || NetError::system("read the counter of dropped packets", std::io::ErrorKind::NotFound);
        packets.ok_or_else(missing)
    }

    /// Removes the table.
    pub(crate) fn remove(&mut self) -> Result<(), NetError> {
        commit(&mut self.socket, |batch| {
            batch.message(DELETE_TABLE, 0, &header(0), "delete nf_tables table `chaos`", |table| {
                table.put_str(1, TABLE)
            });
        })
    }
}

/// Sends what `fill` adds as one transaction.
fn commit(socket: &mut Socket, fill: impl FnOnce(&mut Batch)) -> Result<(), NetError> {
    let mut batch = Batch::default();
    batch.message(BATCH_BEGIN, 0, &header(SUBSYSTEM), "begin an nf_tables transaction", |_| ());
    fill(&mut batch);
    // The end of a batch is acknowledged by new kernels only, so the last message inside of it asks.
    let last_index = batch.len() - 1;
    batch.message(BATCH_END, 0, &header(SUBSYSTEM), "commit an nf_tables transaction", |_| ());
    socket.transact(batch, last_index)
}

fn header(resource: u16) -> [u8; 4] {
    let family = if resource == 0 { FAMILY_IPV4 } else { 0 };
    let [high, low] = resource.to_be_bytes();
    [family, 0, high, low]
}

fn put_u32(attributes: &mut Attributes<'_>, kind: u16, value: u32) {
    attributes.put(kind, &value.to_be_bytes());
}

fn put_set_name(set: &mut Attributes<'_>) {
    set.put_str(1, TABLE);
    set.put_str(2, SET);
}

fn put_chain(chain: &mut Attributes<'_>) {
    const HOOK_FORWARD: u32 = 2;
    const POLICY_ACCEPT: u32 = 1;
    chain.put_str(1, TABLE);
    chain.put_str(3, CHAIN);
    chain.nest(4 | NESTED, |hook| {
        put_u32(hook, 1, HOOK_FORWARD);
        put_u32(hook, 2, 0);
    });
    put_u32(chain, 5, POLICY_ACCEPT);
    chain.put_str(7, "filter");
}

fn put_rule(rule: &mut Attributes<'_>) {
    const NETWORK_HEADER: u32 = 1;
    const SOURCE_OFFSET: u32 = 12;
    const REGISTER_1: u32 = 1;
    const REGISTER_VERDICT: u32 = 0;
    const VERDICT_DROP: u32 = 0;
    rule.put_str(1, TABLE);
    rule.put_str(2, CHAIN);
    rule.nest(4 | NESTED, |expressions| {
        // Source and destination are neighbours in the header: eight bytes at once are the set's key.
        put_expression(expressions, "payload", |payload| {
            put_u32(payload, 1, REGISTER_1);
            put_u32(payload, 2, NETWORK_HEADER);
            put_u32(payload, 3, SOURCE_OFFSET);
            put_u32(payload, 4, 8);
        });
        put_expression(expressions, "lookup", |lookup| {
            lookup.put_str(1, SET);
            put_u32(lookup, 2, REGISTER_1);
            put_u32(lookup, 4, SET_ID);
        });
        put_expression(expressions, "counter", |_| ());
        put_expression(expressions, "immediate", |immediate| {
            put_u32(immediate, 1, REGISTER_VERDICT);
            immediate.nest(2 | NESTED, |data| data.nest(2 | NESTED, |verdict| put_u32(verdict, 1, VERDICT_DROP)));
        });
    });
}

fn put_expression(expressions: &mut Attributes<'_>, name: &str, body: impl FnOnce(&mut Attributes<'_>)) {
    expressions.nest(LIST_ELEMENT | NESTED, |expression| {
        expression.put_str(1, name);
        expression.nest(EXPRESSION_DATA | NESTED, body);
    });
}

fn put_element(elements: &mut Attributes<'_>, (from, to): Pair) {
    let mut key = [0; 8];
    key[..4].copy_from_slice(&from.octets());
    key[4..].copy_from_slice(&to.octets());
    elements.nest(LIST_ELEMENT | NESTED, |element| element.nest(1 | NESTED, |value| value.put(1, &key)));
}

fn parse_element(element: &[u8]) -> Option<Pair> {
    let key = attribute(attribute(element, 1)?, 1)?;
    let from: [u8; 4] = key.get(..4)?.try_into().ok()?;
    let to: [u8; 4] = key.get(4..8)?.try_into().ok()?;
    Some((from.into(), to.into()))
}

/// The packets of the first counter in a rule's attributes.
fn parse_counter(rule: &[u8]) -> Option<u64> {
    let expressions = attribute(rule, 4)?;
    let counter = parse_attributes(expressions)
        .map(|(_, expression)| expression)
        .find(|expression| attribute(expression, 1) == Some(b"counter\0"))?;
    let packets = attribute(attribute(counter, EXPRESSION_DATA)?, 2)?;
    Some(u64::from_be_bytes(packets.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_element_survives_being_written_and_parsed() {
        let pair = (Ipv4Addr::new(10, 77, 0, 1), Ipv4Addr::new(10, 77, 0, 2));
        let mut batch = Batch::default();
        batch.message(NEW_ELEMENTS, 0, &header(0), "test", |set| set.nest(3, |list| put_element(list, pair)));
        let bytes = batch.bytes_for_test();
        let list = attribute(&bytes[20..], 3).unwrap();
        let elements: Vec<_> = parse_attributes(list).map(|(_, element)| parse_element(element)).collect();
        assert_eq!(elements, [Some(pair)]);
        assert_eq!(list.len(), 20);
    }

    #[test]
    fn a_full_message_of_elements_fits_the_attribute_length() {
        let pair = (Ipv4Addr::LOCALHOST, Ipv4Addr::LOCALHOST);
        let mut batch = Batch::default();
        batch.message(NEW_ELEMENTS, 0, &header(0), "test", |set| {
            set.nest(3, |list| (0..ELEMENTS_PER_MESSAGE).for_each(|_| put_element(list, pair)));
        });
        assert!(batch.fits_for_test());
    }
}
