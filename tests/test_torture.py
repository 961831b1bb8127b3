"""The short form of `make torture`: a few kills, then the bytes of a run nobody disturbed."""

import random

from torture import torture


def test_killed_in_the_middle_of_writing(tmp_path):
    random.seed(3)
    struck, finished = torture(tmp_path, kills=3, steps=2000)
    assert len(struck) == 3
    assert finished >= 1
