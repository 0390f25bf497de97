"""What can go wrong on the machine that runs the stack.

HostError
├── ConfigError        wastegate.toml (or an overlay) does not say what is needed
├── MissingPieceError  a file, environment or program is not there
├── StepFailedError    one step of `up` failed; carries its log's tail
└── StackBusyError     another supervisor holds this directory
"""


class HostError(Exception):
    """Base of everything that `up`, `down` and `doctor` report.

    Args:
        message: what is wrong, in one sentence.
        advice: what would be right, or what to do next.
        detail: lines that help to see why (a log's tail), or nothing.
    """

    def __init__(self, message: str, advice: str, detail: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.advice = advice
        self.detail = detail


class ConfigError(HostError):
    """The configuration lacks or misstates something that the stack needs."""


class MissingPieceError(HostError):
    """A file, an environment or a program is not where it should be."""


class StepFailedError(HostError):
    """A step of `up` ran and did not succeed."""


class StackBusyError(HostError):
    """Another supervisor owns this directory."""
