"""Runs that people label, in a notebook or by tables; on disk before a call returns."""
