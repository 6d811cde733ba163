"""Parts of the report: tables, pictures and charts."""
