"""The tiny policies' own tokenizer: byte-level BPE of a few hundred tokens, every digit a token of its own."""

from __future__ import annotations

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from model import corpus
from model.chat_format import DIRECT, END, SAIL_VL2, START, THINK, THINK_END, THINKING
from model.sail_vl2.processing import IMAGE_END, IMAGE_START, IMAGE_TOKEN

PAD = "<pad>"
SPECIAL = (PAD, START, END, THINK, THINK_END, IMAGE_START, IMAGE_END, IMAGE_TOKEN, THINKING, DIRECT)
VOCABULARY = 640

# What may become one token. Digits stand alone and never take a space with them (a 7 is the same token wherever
# it stands), so words and signs take the space between them and a digit; a line break stands alone.
_PIECES = r"\\boxed\{| ?\p{L}+(?: (?=\p{N}))?|\p{N}| ?[^\s\p{L}\p{N}\\]+ ?|\\|\n| +|\s"


def train_tokenizer(seed: int) -> PreTrainedTokenizerFast:
    """A tokenizer of 640 tokens, trained on the built-in corpus; the same for a seed."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_PIECES), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=list(SPECIAL),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(corpus.lines(seed), trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=PAD,
        eos_token=END,
        additional_special_tokens=[token for token in SPECIAL if token not in (PAD, END)],
        chat_template=SAIL_VL2.template,
        clean_up_tokenization_spaces=False,
        model_max_length=4096,
    )
