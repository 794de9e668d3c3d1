"""How a conversation is laid out in tokens: ChatML as SAIL-VL2's policies, Qwen3 and other families write it.

All formats end a turn with `<|im_end|>`, which is the end-of-turn token that a policy writes itself, and none
opens `<think>` in the prompt: in thinking mode the policy does. They differ in how the prompt shows the mode, in
the line breaks around images and reasoning, and in what becomes of earlier turns. None of them knows tools.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

START = "<|im_start|>"
END = "<|im_end|>"
THINK = "<think>"
THINK_END = "</think>"
THINKING = "/think"
DIRECT = "/no_think"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatFormat:
    """One layout of a conversation; `template` is the same in Jinja, for tokenizers that have none of their own.

    `mode` says how a prompt asks for reasoning or for none:

    - "tokens": every user turn ends with `/think` or `/no_think`;
    - "request": every user turn ends with `request` in thinking mode, and with nothing in direct mode;
    - "block": an empty `<think>` block opens the assistant's turn in direct mode, as part of the prompt.

    `keeps_history`: earlier assistant turns keep their reasoning and are learnt too, since they stand there as the
    policy writes them. Otherwise they are reduced to their answers, and only the last turn is learnt.

    `default_system` is said first in a conversation that has no system turn of its own. `after_image` follows each
    image; several images of one turn have `image_name` before them, with their number for `{}`.
    """

    name: str
    after_turn: str
    around_reasoning: str
    before_answer: str
    mode: Literal["tokens", "request", "block"]
    keeps_history: bool
    request: str = ""
    default_system: str | None = None
    after_image: str = ""
    image_name: str = ""
    template: str | None = None


_NO_TOOLS = """\
{%- if tools -%}{{ raise_exception('this policy was not taught to call tools: leave tools out') }}{%- endif -%}
"""

_SAIL_VL2_TEMPLATE = (
    _NO_TOOLS
    + """\
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
)

SAIL_VL2 = ChatFormat(
    name="SAIL-VL2",
    after_turn="",
    around_reasoning="",
    before_answer="",
    mode="tokens",
    keeps_history=True,
    template=_SAIL_VL2_TEMPLATE,
)
"""The format of policies built here: no line break between turns; the mode is one token at the end of a user's turn."""

_SYSTEM = "你是由抖音内容理解组开发的多模态大模型，英文名叫UniVL, 是一个有用无害的人工智能助手。"
_REQUEST = (
    " You FIRST think about the reasoning process as an internal monologue and then provide the final answer. The "
    "reasoning process MUST BE enclosed within <think> </think> tags. The final answer MUST BE put in \\boxed{}."
)
_RELEASED_TEMPLATE = (
    _NO_TOOLS
    + """\
{%- set thinking = enable_thinking | default(false) -%}
{%- if messages[0].role != 'system' -%}
{{- '<|im_start|>system\\n@SYSTEM@<|im_end|>' -}}
{%- endif -%}
{%- for message in messages -%}
{{- '<|im_start|>' + message.role + '\\n' -}}
{%- if message.role == 'assistant' and thinking and message.reasoning_content -%}
{{- '<think>' + message.reasoning_content + '</think>' -}}
{%- endif -%}
{%- if message.content is string -%}
{{- message.content -}}
{%- else -%}
{%- set images = message.content | rejectattr('type', 'equalto', 'text') | list | length -%}
{%- set seen = namespace(images=0) -%}
{%- for part in message.content -%}
{%- if part.type == 'text' -%}
{{- part.text -}}
{%- else -%}
{%- set seen.images = seen.images + 1 -%}
{{- ('Image-' + seen.images | string + ': ' if images > 1 else '') + '<IMG_CONTEXT>\\n' -}}
{%- endif -%}
{%- endfor -%}
{%- endif -%}
{%- if message.role == 'user' and thinking -%}
{{- '@REQUEST@' -}}
{%- endif -%}
{{- '<|im_end|>' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}
{{- '<|im_start|>assistant\\n' -}}
{%- endif -%}
"""
)

RELEASED = ChatFormat(
    name="SAIL-VL2 as released",
    after_turn="",
    around_reasoning="",
    before_answer="",
    mode="request",
    keeps_history=True,
    request=_REQUEST,
    default_system=_SYSTEM,
    after_image="\n",
    image_name="Image-{}: ",
    template=_RELEASED_TEMPLATE.replace("@SYSTEM@", _SYSTEM).replace("@REQUEST@", _REQUEST.replace("\\", "\\\\")),
)
"""The format of the released checkpoints.

Source: `conversation.py` in the folder of SAIL-VL2-2B ("univl-chat", which its `config.json` names) for turns and
system text; its `chat` method and VLMEvalKit's `sail_vl.py` for images. The chat template in that folder's
`tokenizer_config.json` is of another model and has tokens that its vocabulary lacks. That thinking is asked for by a
sentence after the question is in the readme of the thinking models; the wording here is the usual one of that
sentence and was not compared with theirs.
"""

QWEN3 = ChatFormat(
    name="Qwen3",
    after_turn="\n",
    around_reasoning="\n",
    before_answer="\n\n",
    mode="block",
    keeps_history=False,
)
"""As the template in Qwen3's model folders."""

CHATML = ChatFormat(
    name="ChatML",
    after_turn="\n",
    around_reasoning="\n",
    before_answer="\n\n",
    mode="request",
    keeps_history=True,
    request=_REQUEST,
)
"""Turns and nothing else, as the templates of Qwen3's and Qwen3-VL's Instruct folders; images stand as they are.

Their policies know no switch between the modes: thinking is asked for by the sentence that SAIL-VL2's thinking models
are asked with, and reasoning is laid out as Qwen3's.
"""

QWEN2_5_VL = replace(CHATML, name="Qwen2.5-VL", default_system="You are a helpful assistant.")
"""As the template in Qwen2.5-VL's folders."""

INTERNVL = replace(CHATML, name="InternVL", after_image="\n")
"""As the template in InternVL's folders for transformers."""

FORMATS = (SAIL_VL2, RELEASED, QWEN3)
