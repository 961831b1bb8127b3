"""The studies that ship: one module or package each, exporting `STUDY`."""
