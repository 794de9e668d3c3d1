"""Names of weights: as checkpoints of the vision-language families have them, old or new, and as an engine does."""

from __future__ import annotations

_TOWER = ("visual.", "vision_tower.", "multi_modal_projector.")


def engine_name(name: str) -> str:
    """The engine's name of a weight: everything but the decoder lies in `tower`.

    Transformers writes some families under the names that their first folders had, and others under those that its
    classes have now.

    >>> engine_name("model.visual.pos_embed.weight"), engine_name("visual.merger.ln_q.weight")
    ('tower.visual.pos_embed.weight', 'tower.visual.merger.ln_q.weight')
    >>> engine_name("model.language_model.norm.weight"), engine_name("language_model.model.norm.weight")
    ('language_model.model.norm.weight', 'language_model.model.norm.weight')
    >>> engine_name("model.norm.weight"), engine_name("lm_head.weight")
    ('language_model.model.norm.weight', 'language_model.lm_head.weight')
    """
    bare = name.removeprefix("model.")
    if bare.startswith(_TOWER):
        return f"tower.{bare}"
    bare = bare.removeprefix("language_model.").removeprefix("model.")
    inside = "" if bare.startswith("lm_head.") else "model."
    return f"language_model.{inside}{bare}"
