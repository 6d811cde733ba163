"""Cells: which cell a value is in, what is counted there, and the weights that follow."""
