"""report.html: what a run directory holds, as one page with charts."""
