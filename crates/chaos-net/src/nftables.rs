//! Cuts and conditions as nf_tables sets of `(source, destination)` pairs: one table, and one rule for each set.
//!
//! ```text
//!   table ip chaos {
//!     set cut { type ipv4_addr . ipv4_addr }
//!     chain forward { type filter hook forward priority 0; policy accept; ip saddr . ip daddr @cut counter drop }
//!     chain input   { type filter hook input   …the same }
//!     chain output  { type filter hook output  …the same }
//!   }
//! ```
//!
//! Packets between nodes are forwarded; those of a leg's cut, between a node and the switch, come in or go out. What the switch's own
//! sockets send over a cut leg is dropped as it leaves: TCP tries again as it does after a loss, UDP's `send` says EPERM.
//! In `forward` there is more, once it is used first, in this order:
//!
//! ```text
//!     set rejected …; ip saddr . ip daddr @rejected meta l4proto tcp counter reject with tcp reset
//!                     ip saddr . ip daddr @rejected counter reject
//!     set conditioned …; behind the others: ip saddr . ip daddr @conditioned queue to 0-7
//! ```
//!
//! The idea: a netlink batch is a transaction of nf_tables; the kernel flips one generation bit at commit, so every
//! packet sees either all of the old set or all of the new one. Replacing the set is "flush, add", in one batch. The rule
//! looks at every packet, not at connections, so it cuts established flows and their acknowledgements too.
//! Refuses connection tracking, and the `nft` binary. Kernels without nf_tables' own expression `queue` get the same target
//! from x_tables (`nft_compat`), as `iptables-nft` would do it. Source: `include/uapi/linux/netfilter/nf_tables.h`,
//! `net/netfilter/nfnetlink.c`.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use nix::sys::socket::SockProtocol;

use crate::NetError;
use crate::fabric::QUEUES;
use crate::netlink::{Attributes, Batch, CREATE, DUMP, EXCLUSIVE, NESTED, Socket, attribute, parse_attributes};

const TABLE: &str = "chaos";
const FORWARD: Chain = Chain { name: "forward", hook: 2 };
const CHAINS: [Chain; 3] = [FORWARD, Chain { name: "input", hook: 1 }, Chain { name: "output", hook: 3 }];
/// Links whose packets are dropped.
pub(crate) const CUT: PairSet = PairSet { name: "cut", id: 1, purpose: "the set of cut links" };
/// Links whose packets are refused, and their senders told.
pub(crate) const REJECTED: PairSet = PairSet { name: "rejected", id: 2, purpose: "the set of rejected links" };
/// Links whose packets are queued.
pub(crate) const CONDITIONED: PairSet =
    PairSet { name: "conditioned", id: 3, purpose: "the set of links with conditions" };

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

/// A new rule goes behind the others of its chain.
const APPEND: u16 = 0x800;

/// A set in the table.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PairSet {
    name: &'static str,
    id: u32,
    purpose: &'static str,
}

/// How the rule for conditions hands packets over.
#[derive(Debug, Clone, Copy)]
enum QueueExpression {
    /// `nft_queue`.
    Native,
    /// The target NFQUEUE of x_tables.
    Compatible,
}

/// What the sender of a rejected packet is told.
#[derive(Debug, Clone, Copy)]
enum Rejection {
    /// An ICMP message, which ends a UDP request.
    PortUnreachable,
    /// A segment that ends the connection, as if from its other end.
    TcpReset,
}

/// A chain in the table, of the type "filter".
#[derive(Debug, Clone, Copy)]
struct Chain {
    name: &'static str,
    hook: u32,
}

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
            put_set(batch, CUT);
            for chain in CHAINS {
                put_chain(batch, chain);
                put_rule(batch, (chain, APPEND), "drops", |expressions| {
                    put_lookup(expressions, CUT);
                    put_drop(expressions);
                });
            }
        })?;
        Ok(Self { socket })
    }

    /// Adds the rule that queues packets of links with conditions. To be called once, when the queues are bound.
    pub(crate) fn install_conditions(&mut self) -> Result<(), NetError> {
        match self.try_install_conditions(QueueExpression::Native) {
            Err(NetError::Netlink { source, .. }) if source.errno.kind() == std::io::ErrorKind::NotFound => {
                self.try_install_conditions(QueueExpression::Compatible)
            }
            other => other,
        }
    }

    fn try_install_conditions(&mut self, expression: QueueExpression) -> Result<(), NetError> {
        commit(&mut self.socket, |batch| {
            put_set(batch, CONDITIONED);
            put_rule(batch, (FORWARD, APPEND), "queues", |expressions| {
                put_lookup(expressions, CONDITIONED);
                put_queue(expressions, expression);
            });
        })
    }

    /// Adds the rules that reject. To be called once.
    pub(crate) fn install_rejection(&mut self) -> Result<(), NetError> {
        commit(&mut self.socket, |batch| {
            put_set(batch, REJECTED);
            // Each goes to the head of the chain, so the last one comes first.
            put_rule(batch, (FORWARD, 0), "rejects", |expressions| {
                put_lookup(expressions, REJECTED);
                put_reject(expressions, Rejection::PortUnreachable);
            });
            put_rule(batch, (FORWARD, 0), "resets", |expressions| {
                put_lookup(expressions, REJECTED);
                put_is_tcp(expressions);
                put_reject(expressions, Rejection::TcpReset);
            });
        })
    }

    /// Makes the pairs beside each set its whole content, all in one transaction.
    pub(crate) fn replace(&mut self, contents: &[(PairSet, Vec<Pair>)]) -> Result<(), NetError> {
        commit(&mut self.socket, |batch| contents.iter().for_each(|(set, pairs)| put_content(batch, *set, pairs)))
    }

    /// The set as the kernel has it.
    pub(crate) fn read_back(&mut self) -> Result<BTreeSet<Pair>, NetError> {
        let mut batch = Batch::default();
        batch.message(GET_ELEMENTS, DUMP, &header(0), "list the set of cut links", |set| put_set_name(set, CUT));
        let mut pairs = BTreeSet::new();
        self.socket.dump(batch, |payload| {
            let elements = payload.get(4..).and_then(|attributes| attribute(attributes, 3)).unwrap_or_default();
            pairs.extend(parse_attributes(elements).filter_map(|(_, element)| parse_element(element)));
        })?;
        Ok(pairs)
    }

    /// Packets that the rules have dropped or rejected since they were installed.
    pub(crate) fn packets_dropped(&mut self) -> Result<u64, NetError> {
        let mut batch = Batch::default();
        batch.message(GET_RULE, DUMP, &header(0), "read the counter of dropped packets", |rule| {
            rule.put_str(1, TABLE);
        });
        let mut packets = None;
        self.socket.dump(batch, |payload| {
            let counted = payload.get(4..).and_then(parse_counter);
            packets = packets.map_or(counted, |sum: u64| Some(sum + counted.unwrap_or(0)));
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

fn put_set_name(message: &mut Attributes<'_>, set: PairSet) {
    message.put_str(1, TABLE);
    message.put_str(2, set.name);
}

fn put_set(batch: &mut Batch, set: PairSet) {
    let label = format!("create nf_tables set `{}`", set.name);
    batch.message(NEW_SET, CREATE | EXCLUSIVE, &header(0), label, |message| {
        put_set_name(message, set);
        put_u32(message, 3, 0);
        put_u32(message, 4, KEY_TYPE);
        put_u32(message, 5, 8);
        put_u32(message, 10, set.id);
    });
}

fn put_content(batch: &mut Batch, set: PairSet, pairs: &[Pair]) {
    let empty = format!("empty {}", set.purpose);
    batch.message(DELETE_ELEMENTS, 0, &header(0), empty, |message| put_set_name(message, set));
    for chunk in pairs.chunks(ELEMENTS_PER_MESSAGE) {
        batch.message(NEW_ELEMENTS, CREATE, &header(0), format!("fill {}", set.purpose), |message| {
            put_set_name(message, set);
            message.nest(3 | NESTED, |elements| chunk.iter().for_each(|pair| put_element(elements, *pair)));
        });
    }
}

fn put_chain(batch: &mut Batch, chain: Chain) {
    const POLICY_ACCEPT: u32 = 1;
    let label = format!("create nf_tables chain `{}`", chain.name);
    batch.message(NEW_CHAIN, CREATE | EXCLUSIVE, &header(0), label, |message| {
        message.put_str(1, TABLE);
        message.put_str(3, chain.name);
        message.nest(4 | NESTED, |hook| {
            put_u32(hook, 1, chain.hook);
            put_u32(hook, 2, 0);
        });
        put_u32(message, 5, POLICY_ACCEPT);
        message.put_str(7, "filter");
    });
}

/// A rule goes to the head of the chain, or with [`APPEND`] behind the others.
fn put_rule(
    batch: &mut Batch,
    (chain, place): (Chain, u16),
    does: &str,
    expressions: impl FnOnce(&mut Attributes<'_>),
) {
    let label = format!("create the nf_tables rule that {does}");
    batch.message(NEW_RULE, CREATE | place, &header(0), label, |rule| {
        rule.put_str(1, TABLE);
        rule.put_str(2, chain.name);
        rule.nest(4 | NESTED, expressions);
    });
}

const REGISTER_VERDICT: u32 = 0;
const REGISTER_1: u32 = 1;

/// Goes on if the packet's source and destination are in the set.
fn put_lookup(expressions: &mut Attributes<'_>, set: PairSet) {
    const NETWORK_HEADER: u32 = 1;
    const SOURCE_OFFSET: u32 = 12;
    // Source and destination are neighbours in the header: eight bytes at once are the set's key.
    put_expression(expressions, "payload", |payload| {
        put_u32(payload, 1, REGISTER_1);
        put_u32(payload, 2, NETWORK_HEADER);
        put_u32(payload, 3, SOURCE_OFFSET);
        put_u32(payload, 4, 8);
    });
    put_expression(expressions, "lookup", |lookup| {
        lookup.put_str(1, set.name);
        put_u32(lookup, 2, REGISTER_1);
        put_u32(lookup, 4, set.id);
    });
}

/// Counts and drops.
fn put_drop(expressions: &mut Attributes<'_>) {
    const VERDICT_DROP: u32 = 0;
    put_expression(expressions, "counter", |_| ());
    put_expression(expressions, "immediate", |immediate| {
        put_u32(immediate, 1, REGISTER_VERDICT);
        immediate.nest(2 | NESTED, |data| data.nest(2 | NESTED, |verdict| put_u32(verdict, 1, VERDICT_DROP)));
    });
}

/// Goes on if the packet is one of TCP.
fn put_is_tcp(expressions: &mut Attributes<'_>) {
    const KEY_PROTOCOL: u32 = 16;
    const EQUAL: u32 = 0;
    const TCP: u8 = 6;
    put_expression(expressions, "meta", |meta| {
        put_u32(meta, 1, REGISTER_1);
        put_u32(meta, 2, KEY_PROTOCOL);
    });
    put_expression(expressions, "cmp", |compare| {
        put_u32(compare, 1, REGISTER_1);
        put_u32(compare, 2, EQUAL);
        compare.nest(3 | NESTED, |data| data.put(1, &[TCP]));
    });
}

/// Counts, drops, and tells the sender.
fn put_reject(expressions: &mut Attributes<'_>, rejection: Rejection) {
    const CODE_PORT_UNREACHABLE: u8 = 3;
    put_expression(expressions, "counter", |_| ());
    put_expression(expressions, "reject", |reject| match rejection {
        Rejection::PortUnreachable => {
            put_u32(reject, 1, 0);
            reject.put(2, &[CODE_PORT_UNREACHABLE]);
        }
        Rejection::TcpReset => put_u32(reject, 1, 1),
    });
}

/// Hands the packet to one of the queues, the same one for the same two nodes.
fn put_queue(expressions: &mut Attributes<'_>, expression: QueueExpression) {
    const FIRST_QUEUE: u16 = 0;
    match expression {
        QueueExpression::Native => put_expression(expressions, "queue", |queue| {
            queue.put(1, &FIRST_QUEUE.to_be_bytes());
            queue.put(2, &QUEUES.to_be_bytes());
        }),
        QueueExpression::Compatible => put_expression(expressions, "target", |target| {
            target.put_str(1, "NFQUEUE");
            put_u32(target, 2, 1);
            // `struct xt_NFQ_info_v1`, padded as x_tables pads.
            let mut information = [0; 8];
            information[..2].copy_from_slice(&FIRST_QUEUE.to_ne_bytes());
            information[2..4].copy_from_slice(&QUEUES.to_ne_bytes());
            target.put(3, &information);
        }),
    }
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
