//! The programs, their recipes, config loading and console.
