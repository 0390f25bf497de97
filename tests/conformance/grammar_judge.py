"""What the engine's grammars take: run by the engine's Python, one JSON line a case.

In: `{"schema": text, "texts": [text, …]}`. Out: `{"error": text, "taken": [bool, …],
"forced": text, "ms": number}`: why the grammar is refused, which whole texts it takes,
what every text has to begin with, and how long compiling took. The calls are those of
vLLM's `guidance` backend, with a token for each byte in place of a model's.
"""

import json
import sys
import time
from typing import Any

import llguidance as _llguidance  # pyright: ignore[reportMissingImports] -- of the engine's environment

llguidance: Any = _llguidance


def judged(schema: str, texts: list[str], tokens: Any) -> dict[str, Any]:
    """Judge one case."""
    began = time.perf_counter()
    grammar = ""
    try:
        grammar = llguidance.LLMatcher.grammar_from_json_schema(
            schema, defaults={"whitespace_flexible": True}
        )
        error = llguidance.LLMatcher.validate_grammar(grammar, None)
    except ValueError as refused:
        error = str(refused)
    milliseconds = (time.perf_counter() - began) * 1e3
    if error:
        return {"error": error, "taken": [], "forced": "", "ms": milliseconds}
    start = llguidance.LLMatcher(tokens, grammar, log_level=0)
    taken: list[bool] = []
    for text in texts:
        matcher = start.deep_copy()
        said = tokens.tokenize_str(text)
        whole = matcher.try_consume_tokens(said) == len(said)
        taken.append(whole and matcher.is_accepting())
    forced = start.compute_ff_bytes().decode("utf-8", "replace")
    return {"error": "", "taken": taken, "forced": forced, "ms": milliseconds}


def main() -> None:
    """Judge each line of the standard input."""
    tokens = llguidance.LLTokenizer("byte")
    for line in sys.stdin:
        case = json.loads(line)
        found = judged(case["schema"], case["texts"], tokens)
        sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
