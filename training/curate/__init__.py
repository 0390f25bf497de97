"""From raw examples to splits that may be trained on, and a card that says why."""
