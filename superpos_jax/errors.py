"""What the program says when its input is wrong."""


class UserError(Exception):
    """The input is wrong: one line that names the file, the field and what is allowed.

    The command line prints the message and exits with code 2; nothing else in the package
    catches it.
    """
