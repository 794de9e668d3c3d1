"""How a conversation is laid out in tokens: ChatML as SAIL-VL2's policies and as Qwen3 write it.

Both formats end a turn with `<|im_end|>`, which is the end-of-turn token that a policy writes itself, and neither
opens `<think>` in the prompt: in thinking mode the policy does. They differ in how the prompt shows the mode, in
the line breaks around reasoning, and in what becomes of earlier turns.
"""

from __future__ import annotations

from dataclasses import dataclass

START = "<|im_start|>"
END = "<|im_end|>"
THINK = "<think>"
THINK_END = "</think>"
THINKING = "/think"
DIRECT = "/no_think"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatFormat:
    """One layout of a conversation; `template` is the same in Jinja, for tokenizers that have none of their own.

    `modes_are_tokens`: every user turn ends with `/think` or `/no_think`. Otherwise direct mode is shown by an
    empty `<think>` block that opens the assistant's turn, as part of the prompt.

    `keeps_history`: earlier assistant turns keep their reasoning and are learnt too, since they stand there as the
    policy writes them. Otherwise they are reduced to their answers, and only the last turn is learnt.
    """

    name: str
    after_turn: str
    around_reasoning: str
    before_answer: str
    modes_are_tokens: bool
    keeps_history: bool
    template: str | None = None


_SAIL_VL2_TEMPLATE = """\
{%- set thinking = enable_thinking | default(true) -%}
{%- for message in messages -%}
{{- '<|im_start|>' + message.role + '\\n' -}}
{%- if message.role == 'assistant' and thinking and message.reasoning_content -%}
{{- '<think>' + message.reasoning_content + '</think>' -}}
{%- endif -%}
{%- if message.content is string -%}
{{- message.content -}}
{%- else -%}
{%- for part in message.content -%}
{{- part.text if part.type == 'text' else '<IMG_CONTEXT>' -}}
{%- endfor -%}
{%- endif -%}
{%- if message.role == 'user' -%}
{{- '/think' if thinking else '/no_think' -}}
{%- endif -%}
{{- '<|im_end|>' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}
{{- '<|im_start|>assistant\\n' -}}
{%- endif -%}
"""

SAIL_VL2 = ChatFormat(
    name="SAIL-VL2",
    after_turn="",
    around_reasoning="",
    before_answer="",
    modes_are_tokens=True,
    keeps_history=True,
    template=_SAIL_VL2_TEMPLATE,
)
"""No line break between turns, as in the released checkpoints; the mode is one token at the end of a user's turn."""

QWEN3 = ChatFormat(
    name="Qwen3",
    after_turn="\n",
    around_reasoning="\n",
    before_answer="\n\n",
    modes_are_tokens=False,
    keeps_history=False,
)
"""As the template in Qwen3's model folders."""

FORMATS = (SAIL_VL2, QWEN3)
