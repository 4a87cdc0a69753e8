"""Reports as text, JSON, HTML, SVG and workflow commands: pure functions from a report to a string.

`report.py` holds the value; every other file here shows it in one form. Nothing is imported before it is asked for.
"""
