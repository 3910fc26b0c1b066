"""HTML pages from the templates in `templates/`.

A page is one self-contained file: nothing is fetched from elsewhere.
"""
