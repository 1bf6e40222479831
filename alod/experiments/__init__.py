"""Simulated active learning: runs, sweeps, and what their curves tell."""
