//! The training loop, optimizers, schedules, early stopping, checkpoints and metrics.
