"""One request from top to bottom: route, ask, check, answer, record."""
