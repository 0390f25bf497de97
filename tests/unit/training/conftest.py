"""A base that a test can train: a two-layer random Llama over bytes."""

import importlib
from pathlib import Path

import pytest

from adapters.base import seal_base
from adapters.refs import BaseRef
from training.base import REF

TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


@pytest.fixture(scope="session")
def tiny_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Directory of a prepared base under the shipped base's ref."""
    torch = importlib.import_module("torch")
    transformers = importlib.import_module("transformers")
    tokenizers = importlib.import_module("tokenizers")
    alphabet = sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet())
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    vocabulary = {token: index for index, token in enumerate([*special, *alphabet])}
    raw = tokenizers.Tokenizer(tokenizers.models.BPE(vocab=vocabulary, merges=[]))
    raw.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = tokenizers.decoders.ByteLevel()
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=raw,
        bos_token="<|im_start|>",  # noqa: S106 - a marker in text
        eos_token="<|im_end|>",  # noqa: S106 - a marker in text
        pad_token="<|im_end|>",  # noqa: S106 - a marker in text
        unk_token="<|endoftext|>",  # noqa: S106 - a marker in text
    )
    tokenizer.chat_template = TEMPLATE
    torch.manual_seed(0)
    model = transformers.LlamaForCausalLM(
        transformers.LlamaConfig(
            vocab_size=len(vocabulary),
            hidden_size=64,  # a block of bitsandbytes' four bits
            intermediate_size=128,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            max_position_embeddings=4096,
            bos_token_id=1,
            eos_token_id=2,
            pad_token_id=2,
            tie_word_embeddings=True,
        )
    )
    directory = tmp_path_factory.mktemp("models") / REF
    model.save_pretrained(directory)
    tokenizer.save_pretrained(directory)
    seal_base(directory, BaseRef(REF), "random", "conftest")
    return directory
