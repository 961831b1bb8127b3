"""Sweep files, grids of cells, labelled results and where they are stored."""
