"""The error tree of the evals; `evals.__main__` turns it into exit codes.

    EvalError
    ├── SetupError       the environment or a file that a run needs (exit 2)
    │   └── SampleError  a line of a sample file: file, line, field (exit 2)
    ├── JournalError     a recording that cannot be trusted
    ├── TargetError      the gateway did not answer as it should: code, retry_after
    │   └── WrongGeneratorError  the answer came from another generator or model
    └── RunFailedError        a sample got no answer, also at the second try

Each says what is wrong and what would be right.
"""


class EvalError(Exception):
    """What ends a run."""


class SetupError(EvalError):
    """The run cannot begin with what it was given."""


class SampleError(SetupError):
    """A line of a sample file is not a sample."""

    def __init__(self, file: str, line: int, field: str, message: str) -> None:
        super().__init__(f"{file}:{line}: {field}: {message}")
        self.file = file
        self.line = line
        self.field = field


class JournalError(EvalError):
    """A line in the middle of a recording cannot be read."""


class TargetError(EvalError):
    """No answer that could be scored; `retry_after` is in seconds."""

    def __init__(self, code: str, message: str, *, retry_after: float = 1.0) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.retry_after = retry_after


class WrongGeneratorError(TargetError):
    """An answer that another generator gave must never be scored as this one's."""

    def __init__(self, wanted: str, found: str) -> None:
        super().__init__(
            "wrong_generator",
            f"asked {wanted}, answered by {found}; is there a kill, a fallback or a"
            " second run on this tenant? See `wastegate resolve` and the audit log",
        )


class RunFailedError(EvalError):
    """One sample failed twice: a table with holes would compare unlike things."""

    def __init__(self, sample: str, generator: str, cause: TargetError) -> None:
        super().__init__(
            f"sample {sample} on {generator} failed twice, last with {cause};"
            " what was answered is kept: run the same command again to go on"
        )
        self.sample = sample
        self.cause = cause
