//! Namespaces, addresses, links and partitions, without root and without external tools
