"""Measured claims: each prints a ratio against a named peer, in one run."""
