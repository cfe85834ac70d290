"""Reports on paper: figures of a range of time as a PDF with charts."""
