//! The database: Optuna's schema in SQLite or PostgreSQL.
