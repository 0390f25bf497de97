"""What can go wrong in training, as one small tree.

TrainingError
├── BaseError      the base checkpoint cannot be prepared or is not what it says
├── DataError      examples or pairs that must not be trained on
├── ConfigError    a run's configuration
├── TuneError      a run that cannot go on: loss, memory, disk
│   └── CheckpointError   work that cannot be kept, or is another run's
├── PublishError   an adapter that must not leave the worker
└── QueueError     the queue cannot be used
    └── JobError   a job that the queue does not take, or cannot do this with
"""


class TrainingError(Exception):
    """Root of the tree; the command line prints its sentence and exits with 1."""


class BaseError(TrainingError):
    """The base checkpoint cannot be prepared, or is incomplete."""


class DataError(TrainingError):
    """An example or a pair that must not be trained on."""


class ConfigError(TrainingError):
    """A run's configuration is not usable."""


class TuneError(TrainingError):
    """A run cannot go on; says at which step, and what would help."""


class CheckpointError(TuneError):
    """Work cannot be kept, or is another run's."""


class PublishError(TrainingError):
    """A trained adapter does not hold what its manifest would promise."""


class QueueError(TrainingError):
    """The queue's Redis cannot be used; names it without its password."""


class JobError(QueueError):
    """What was asked of a job does not go with the state that it is in."""
