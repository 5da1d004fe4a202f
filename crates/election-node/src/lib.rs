//! The reference node: sockets, disk and clock around the election protocols
