"""The lab: from raw examples to a canary that judged itself, in one command."""
