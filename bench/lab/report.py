# SPDX-License-Identifier: MIT
"""The report of bench/run for people: report.html and report.md, from the dict that is report.json.

Both say the same; the form is report_html.py's and report_markdown.py's, the words and the order
are report_facts.py's, report_verdict.py's and report_words.py's. Whatever is missing in the dict is
missing in the report: an interrupted run must not be lost to the writing of it."""
from . import report_html, report_markdown


def write(report, folder):
    """Writes both into `folder`, which is made if need be; returns their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, form in (("report.html", report_html), ("report.md", report_markdown)):
        path = folder / name
        path.write_text(form.page(report), encoding="utf-8")
        written.append(path)
    return written
