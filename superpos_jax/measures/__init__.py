"""Numbers of trained runs, without drawing: what figures show and what the paper is judged by."""
