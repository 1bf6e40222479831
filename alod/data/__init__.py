"""Data sets: images with targets, from arrays, from a folder, or known by name."""
