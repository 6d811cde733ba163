"""Execution: jobs, workers, devices, and functions of the user."""
