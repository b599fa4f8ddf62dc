"""The one exception that is the user's to mend."""


class InputError(ValueError):
    """Something given by the user (a setting, a file, a download) cannot be used.

    The message is one line that names the key or file, the value found, and what is allowed; a job
    prints it without a traceback.
    """
