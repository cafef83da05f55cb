"""The one exception that speaks to the user."""


class UserError(ValueError):
    """A mistake that the user can mend.

    Its message is one line that says what is wrong and what to write instead; `homog-run` prints it and
    exits with status 2, without a traceback.
    """
