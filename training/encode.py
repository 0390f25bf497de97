"""Examples as token ids: the prompt as the server renders it, then the answer."""

from collections.abc import Sequence
from typing import Any

import msgspec

from structured.prompt import AssistInput, render
from training.errors import DataError
from training.fields import Fields, weights


class Encoded(msgspec.Struct, frozen=True):
    """Token ids of one prompt with one answer, end token included."""

    prompt: tuple[int, ...]
    answer: tuple[int, ...]
    weights: tuple[float, ...] = ()
    """Of the answer's tokens in the loss; none are all 1."""

    @property
    def length(self) -> int:
        """Tokens altogether."""
        return len(self.prompt) + len(self.answer)


def prompt_text(tokenizer: Any, given: AssistInput) -> str:
    """The text that a chat request for this input becomes in the engine."""
    messages = [
        {"role": message.role, "content": message.content} for message in render(given)
    ]
    return str(
        tokenizer.apply_chat_template(
            messages, tokenize=False, add_generation_prompt=True
        )
    )


def encode(
    tokenizer: Any,
    given: AssistInput,
    answer: str,
    *,
    max_length: int,
    fields: Fields | None = None,
) -> Encoded:
    """Tokenise prompt and answer apart, as serving does, and join the ids.

    Tokenising them together could merge over the seam into tokens that a decoder
    never sees there.

    Raises:
        DataError: longer than `max_length`. A cut answer would teach to cut answers.
    """
    prompt = tokenizer(prompt_text(tokenizer, given), add_special_tokens=False)
    target = tokenizer(
        answer, add_special_tokens=False, return_offsets_mapping=fields is not None
    )
    encoded = Encoded(
        tuple(prompt["input_ids"]),
        (*target["input_ids"], int(tokenizer.eos_token_id)),
        # That the answer ends is wording, too.
        (*weights(answer, target["offset_mapping"], fields), 1.0) if fields else (),
    )
    if encoded.length > max_length:
        raise DataError(
            f"an example of {encoded.length} tokens exceeds max_length {max_length}:"
            f" {given.user[:80]!r}"
        )
    return encoded


def pad(rows: Sequence[Encoded], *, pad_id: int) -> dict[str, Any]:
    """A right-padded batch: input_ids, attention_mask, labels, weights.

    Labels are -100 on the prompt and on padding, so only the answer is learnt; weights
    are 0 there, and there at all only if some row has any.
    """
    import torch  # noqa: PLC0415 - heavy, and absent where only data is made

    width = max(row.length for row in rows)
    ids = torch.full((len(rows), width), pad_id, dtype=torch.long)
    mask = torch.zeros((len(rows), width), dtype=torch.long)
    labels = torch.full((len(rows), width), -100, dtype=torch.long)
    weighed = torch.zeros((len(rows), width))
    for index, row in enumerate(rows):
        start, stop = len(row.prompt), row.length
        ids[index, :stop] = torch.tensor((*row.prompt, *row.answer))
        mask[index, :stop] = 1
        labels[index, start:stop] = torch.tensor(row.answer)
        weighed[index, start:stop] = torch.tensor(row.weights or (1.0,))
    batch = {"input_ids": ids, "attention_mask": mask, "labels": labels}
    return batch | {"weights": weighed} if any(row.weights for row in rows) else batch


def on_device(batch: dict[str, Any], model: Any) -> dict[str, Any]:
    """The batch where the model is."""
    return {name: value.to(model.device) for name, value in batch.items()}
