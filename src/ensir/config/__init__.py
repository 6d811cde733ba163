"""The configuration: its schema, how it is read and checked, its reference."""
