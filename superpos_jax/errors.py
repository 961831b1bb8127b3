"""What the program says when its input is wrong."""


class UserError(Exception):
    """The input is wrong: one line that names the file, the field and what is allowed.

    The command line prints the message and exits with code 2.
    """


class Interrupted(Exception):  # noqa: N818 - nothing went wrong
    """The run was asked to stop; it wrote a checkpoint and can be continued."""


class LostProcess(Interrupted):
    """One of the processes that train together ended before its time."""
