//! Plots as PNG and SVG from plain numbers.
