"""What a training starts from: a model of its own, or the weights of another, whole or grown."""

from __future__ import annotations

import inspect
from collections.abc import Callable

import torch

from reslift import checkpoint
from reslift.errors import RecipeError, look_up, one_line, unknown
from reslift.models import MODELS, SRModel
from reslift.models.grow import grow
from reslift.recipe import ModelPart, Recipe
from reslift.symmetry import Symmetry

COLOURS = 3
WORDS = {int: "a whole number", float: "a number", str: "text"}


def complete(recipe: Recipe) -> Recipe:
    """The recipe with the model of its ``init``, where it names none of its own.

    Raises:
        ResliftError: ``init`` cannot be read.
    """
    if not recipe.init or recipe.grow or "model" in recipe.model_fields_set:
        return recipe
    card = checkpoint.read_card(checkpoint.resolve(recipe.init, recipe.scale))
    arguments = {key: value for key, value in card.arguments.items() if key != "scale"}
    part = ModelPart(
        name=card.model, arguments=arguments, symmetry=checkpoint.order_of(card.recipe)
    )
    return recipe.model_copy(update={"model": part})


def start_model(recipe: Recipe, note: Callable[[str], None] = lambda _: None) -> SRModel:
    """A `complete` recipe's model, seeded, with the weights of ``init`` that fit, or grown from it.

    note: is told of the weights that do not fit.

    Raises:
        RecipeError: the arguments do not fit the model, or ``init`` cannot be used for it.
    """
    kind = look_up(recipe.model.name, MODELS, "model")
    _check_arguments(kind, recipe.model)
    torch.manual_seed(recipe.seed)
    try:
        model = kind(scale=recipe.scale, **recipe.model.arguments)
    except ValueError as error:
        raise RecipeError(f"model {recipe.model.name}: {one_line(error)}") from error
    except (TypeError, RuntimeError) as error:
        raise RecipeError(
            f"model.arguments: model {recipe.model.name} cannot use the values "
            f"{one_line(recipe.model.arguments)}: {one_line(error)}"
        ) from error
    if model.channels != COLOURS:
        raise RecipeError(
            f"model {recipe.model.name} takes {model.channels} channels; pictures have {COLOURS}, "
            f"gray ones too, when they are trained on: leave out model.arguments.channels"
        )
    order = recipe.model.symmetry
    symmetry = Symmetry(model, order) if order > 1 else None
    if recipe.init:
        source, _ = checkpoint.load(checkpoint.resolve(recipe.init, recipe.scale))
        origin = f"init {one_line(recipe.init)}"
        if symmetry and type(source) is type(model) and Symmetry(source, order).strays(source):
            raise RecipeError(
                f"{origin} was not trained with model.symmetry = {order}, and starting from it "
                f"would spoil its answers: leave out model.symmetry or init"
            )
        if recipe.grow:
            try:
                grow(source, model)
            except ValueError as error:
                raise RecipeError(f"grow: {origin}: {error}") from error
        else:
            _take_over(source, model, origin, note)
    if symmetry:
        symmetry.begin(model)
    return model.train()


def _check_arguments(kind: type[SRModel], part: ModelPart) -> None:
    """Nothing, where a model has all these arguments and can use values of these types."""
    parameters = inspect.signature(kind).parameters
    defaults = {key: one.default for key, one in parameters.items() if key != "scale"}
    for key, value in part.arguments.items():
        if key not in defaults:
            raise RecipeError(unknown(key, defaults, f"key in model.arguments of {part.name}"))
        wanted = type(defaults[key])
        fits = type(value) is wanted or (wanted is float and type(value) is int)
        place = f"model.arguments.{key}: model {part.name} cannot use {one_line(repr(value))}"
        if wanted in WORDS and not fits:
            raise RecipeError(f"{place}: it wants {WORDS[wanted]}")
        if isinstance(value, int) and value > checkpoint.MAX_ARGUMENT:
            raise RecipeError(f"{place}: at most {checkpoint.MAX_ARGUMENT}")


def _take_over(source: SRModel, model: SRModel, origin: str, note: Callable[[str], None]) -> None:
    """Give a model the weights of another that fit by name and shape."""
    own = model.state_dict()
    fitting = {
        key: value
        for key, value in source.state_dict().items()
        if key in own and own[key].shape == value.shape
    }
    if not any(value.ndim > 1 for value in fitting.values()):
        raise RecipeError(f"{origin}: none of its weights fits this model")
    anew = [key for key in own if key not in fitting]
    if anew:
        named = ", ".join(anew[:3]) + (", …" if len(anew) > 3 else "")
        note(f"{origin}: {len(anew)} of {len(own)} weights do not fit and start anew: {named}")
    model.load_state_dict(fitting, strict=False)
