"""The short form of `make torture`: two kills, then the bytes of a run nobody disturbed."""

import random

from torture import torture


def test_killed_in_the_middle_of_writing(tmp_path):
    random.seed(4)
    struck, finished = torture(tmp_path, kills=2, steps=3000, T=(3, 8))  # of one layout
    assert len(struck) == 2
    assert finished >= 1
