//! Nemesis and client generators, sans-IO
