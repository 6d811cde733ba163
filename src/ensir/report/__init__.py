"""The report: the page and its templates, tables, charts of trainings and descents."""
