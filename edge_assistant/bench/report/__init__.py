"""The report of a bench: values, and three ways to read them (JSON, Markdown, one HTML page)."""
