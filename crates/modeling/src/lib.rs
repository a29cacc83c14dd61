//! Networks: config, init, forward, weights.
