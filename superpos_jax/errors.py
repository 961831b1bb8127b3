"""What the program says when its input is wrong, or when it was stopped."""


class UserError(Exception):
    """The input is wrong: one line that names the file, the field and what is allowed.

    The command line prints the message and exits with code 2.
    """


class Interrupted(Exception):  # noqa: N818 - nothing went wrong
    """The run was asked to stop; the same call continues from the last checkpoint.

    Attributes:
        goes_on_from: where that is, in words; empty where nothing was begun.
    """

    def __init__(self, said: str, goes_on_from: str = "the last checkpoint") -> None:
        super().__init__(said)
        self.goes_on_from = goes_on_from


class LostProcess(Interrupted):
    """One of the processes that train together ended before its time."""
