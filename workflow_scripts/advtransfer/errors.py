"""The one exception that a user, not a developer, is meant to read."""


class UserError(Exception):
    """A mistake in the config, the data, a checkpoint or the surroundings (disk, network).

    The message names the key or file, says what was expected, and gives the way out. Steps and
    the Snakefile print it without a traceback.
    """
