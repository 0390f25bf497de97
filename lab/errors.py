"""What can go wrong in the lab: a step does."""


class LabError(Exception):
    """A step failed or left something out; says where its output is, and what next."""
