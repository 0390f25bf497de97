"""Examples of the second generation: many subjects, five languages, minimal pairs."""
