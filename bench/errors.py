"""What ends a benchmark."""


class BenchError(Exception):
    """No number, and why; a benchmark never reports half a run."""
