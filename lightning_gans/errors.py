"""Errors that end a command with one line. Nothing is imported here: it takes no time."""

__all__ = ["InputError", "RunError"]


class InputError(Exception):
    """What the user gave cannot be used; the message says what, and what is allowed."""

    exit_code = 2


class RunError(Exception):
    """What stopped a run on its way; the message says what."""

    exit_code = 1
