"""Deploying: a table as a module of PyTorch and as a program of plain operators, alone or joined with its models."""
