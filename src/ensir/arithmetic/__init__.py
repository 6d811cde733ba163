"""Arithmetic that gives the same bits on every processor: functions, and the solution of small systems."""
