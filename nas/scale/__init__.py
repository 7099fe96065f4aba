"""Compound scaling: coefficients, families, scaling to a budget, and the grid of triples."""
