//! Pure failover analysis: phases, outages and distributions of a history
