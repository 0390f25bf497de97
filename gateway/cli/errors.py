"""What a command of the command line can fail with.

CliError             exit code 1
├── UnreachableError  no gateway answers at the address
├── RefusedError      the gateway answered with an error
└── UsageError        the arguments contradict each other: exit code 2
"""

from typing import ClassVar


class CliError(Exception):
    """A command failed: `message` says what is wrong, `advice` what to do next."""

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, advice: str) -> None:
        super().__init__(message)
        self.message = message
        self.advice = advice


class UnreachableError(CliError):
    """Nobody answers at the control plane's address."""


class RefusedError(CliError):
    """The control plane refused; `status` and `code` are its own."""

    def __init__(self, message: str, advice: str, *, status: int, code: str) -> None:
        super().__init__(message, advice)
        self.status = status
        self.code = code


class UsageError(CliError):
    """The arguments cannot be meant as they are."""

    exit_code = 2
