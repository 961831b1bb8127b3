"""The short form of `make torture`: a few kills, then the bytes of a run nobody disturbed."""

import random

from torture import torture


def test_killed_in_the_middle_of_writing(tmp_path):
    random.seed(4)
    struck, finished = torture(tmp_path, kills=2, steps=3000)
    assert len(struck) == 2
    assert finished >= 1
