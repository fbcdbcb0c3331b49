"""The exception whose message is meant for users, not for developers."""


class UserError(Exception):
    """A mistake in the config, the data or a checkpoint, or a failure of disk or network.

    The message names the key or file, and says what was expected and what to do. Steps and the
    Snakefile print it without a traceback.
    """
