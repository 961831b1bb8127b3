"""The figures of the study."""
FIGURES = {}
