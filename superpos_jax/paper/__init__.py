"""The paper's figures: sweeps in sweeps/paper and sweeps/reference, what they found, the gallery.

superpos run paper/P6          # trains one figure's models, draws it
superpos check-paper           # the paper's statements, against the numbers in figures/data
make paper                     # all sweeps at reduced scale, then both of the above
"""
