//! The tables' own constraints, upheld as the session sees the world.
