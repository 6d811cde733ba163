"""Figures and parts of the page: tables, pictures, drawings."""
