"""The engine: one compiled program that trains every cell of a plan."""
