"""Scoring: tables of scores, their ranking, and intervals over images."""
