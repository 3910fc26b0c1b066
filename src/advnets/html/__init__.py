"""HTML pages from the templates in `templates/`.

A page is one file: its style stands inside it and nothing is fetched from anywhere.
"""
