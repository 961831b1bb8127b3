"""A number of ours beside a number of a source: checks, their spread over seeds, the gallery."""
