"""Recipes: typed, unknown keys refused with the near name, written whole and read back."""

from __future__ import annotations

from pathlib import Path

import pytest

from reslift.errors import RecipeError, UnknownName
from reslift.recipe import Recipe, load_recipe, recipes, to_toml


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "r.toml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("name", recipes())
def test_every_bundled_recipe_reads_and_survives_being_written(name: str, tmp_path: Path) -> None:
    recipe = load_recipe(name)
    assert recipe.name == name
    assert recipe.summary
    assert load_recipe(write(tmp_path, to_toml(recipe))) == recipe


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("sede = 3", "did you mean seed"),
        ("[data]\nhold_uot = 3", "did you mean hold_out"),
        ("[[phases]]\nsteps = 4\npacth = 4", "did you mean patch"),
        ("scale = 'four'", "scale"),
        ("scale = 0", "scale"),
        ("[[phases]]\nsteps = 0", "phases.0.steps"),
        ("phases = []", "at least one phase"),
        ("scale = ", "not TOML"),
        ("seed = 99999999999999999999999", r"seed: .* 8388607, given 9{23}$"),
        ("seed = -1", r"seed: .* 0, given -1$"),
        ("seed = 8388608\n[[phases]]\nsteps = 4\nkl = 0.1", "seed: .* 8388607, given 8388608"),
        ("[[phases]]\nsteps = 4\nloss = {}", r"phases\.0\.loss: .* at least 1 item"),
        ("[[phases]]\nsteps = 4\nloss = {l1 = 0}", r"phases\.0\.loss\.l1: .*than 0, given 0$"),
        ("[[phases]]\nsteps = 4\nloss = {l1 = -1}", r"phases\.0\.loss\.l1: .*0, given -1$"),
        ("[[phases]]\nsteps = 4\nloss = {l1 = inf}", r"phases\.0\.loss\.l1: .*finite.* inf$"),
        ("[[phases]]\nsteps = 4\nrate = inf", r"phases\.0\.rate: .*finite number, given inf$"),
        ("engine.threads = 10000", r"engine\.threads: .* 1024, given 10000$"),
        ("grow = true", r"r\.toml: recipe: grow needs init, the smaller model to start from$"),
        ("[[phases]]\nbatch = 4", r"phases\.0\.steps: Field required$"),
        ("data.train = 'photos'", r'data\.train: wanted a list, as in \["a", "b"\], given photos$'),
        ("[[phases]]\nsteps = 4\nloss = 'l1'", r"phases\.0\.loss: wanted a table, .* given l1$"),
        ("model = 'lift'", r"model: wanted a table, .* given lift$"),
        ("[phases]\nsteps = 4", r"phases: wanted \[\[phases\]\]"),
        (
            "model.arguments.width = nan",
            r"model\.arguments\.width: .* finite number, .* given nan$",
        ),
        ("model.arguments.width = [1, 2]", r"model\.arguments\.width: .* given \[1, 2\]$"),
        ("optimiser.betas = [1.0, 2.0]", r"optimiser\.betas\.0: .* less than 1, given 1\.0$"),
        ("a = " + 2000 * "[" + 2000 * "]", "not TOML: maximum recursion"),
        ("seed = " + 5000 * "9", "not TOML: "),
    ],
)
def test_what_does_not_fit_is_one_line_with_its_place(
    text: str, words: str, tmp_path: Path
) -> None:
    with pytest.raises(RecipeError, match=words) as caught:
        load_recipe(write(tmp_path, text))
    assert "r.toml" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_editors_leave_in_a_file_is_no_fault(tmp_path: Path) -> None:
    """The mark of UTF-8 and the line ends of Windows; a DEL that TOML wants escaped."""
    path = tmp_path / "notepad.toml"
    path.write_bytes(b'\xef\xbb\xbfsummary = "a\\u007fb"\r\n[data]\r\nhold_out = 3\r\n')
    recipe = load_recipe(path)
    assert (recipe.summary, recipe.data.hold_out) == ("a\x7fb", 3)
    again = tmp_path / "again.toml"
    again.write_text(to_toml(recipe), encoding="utf-8")
    assert load_recipe(again) == recipe


def test_set_changes_values_of_every_type(tmp_path: Path) -> None:
    path = write(tmp_path, "[[phases]]\nsteps = 4")
    sets = ("seed=7", "phases.0.batch=2", "data.train=['a', 'b']", "init=lift-base", "scale=2")
    recipe = load_recipe(path, (*sets, "model.arguments={width=8}", "engine.compile=true"))
    assert (recipe.seed, recipe.phases[0].batch, recipe.data.train) == (7, 2, ("a", "b"))
    assert (recipe.init, recipe.scale, recipe.engine.compile) == ("lift-base", 2, True)
    assert recipe.model.arguments == {"width": 8}


@pytest.mark.parametrize(
    "change",
    [
        "seed",
        "summary=\udcff",
        "phases.3.steps=1",
        "seed.deep=1",
        "phases.x=1",
        "phases.-1.steps=1",
        "phases.-1={steps=1}",
    ],
)
def test_set_refuses_what_has_no_place(change: str, tmp_path: Path) -> None:
    with pytest.raises(RecipeError):
        load_recipe(write(tmp_path, "seed = 1\n[[phases]]\nsteps = 4"), (change,))


def test_set_says_how_places_of_a_list_are_named(tmp_path: Path) -> None:
    """Errors name the key of any phase, as phases.patch, which --set wants with a number."""
    with pytest.raises(RecipeError, match=r"phases\.patch=8: no such place; .*phases\.0\.steps"):
        load_recipe(write(tmp_path, "[[phases]]\nsteps = 4"), ("phases.patch=8",))


def test_a_number_of_too_many_digits_to_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="seed: "):
        load_recipe(write(tmp_path, ""), ("seed=" + "9" * 5000,))


@pytest.mark.parametrize(
    "name", ["", " ", ".", "..", "../../evil", "/evil", "a/", "a\\b", "C:evil", "a\0b"]
)
def test_a_name_that_is_no_single_folder_is_refused(name: str, tmp_path: Path) -> None:
    path = write(tmp_path, "")
    with pytest.raises(RecipeError, match=r"r\.toml: name: it names the run's folder") as caught:
        load_recipe(path, (f"name={name}",))
    assert str(caught.value).isprintable()
    assert load_recipe(path, ("name=lift base-x4.1",)).name == "lift base-x4.1"


def test_unknown_recipe_and_missing_file(tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match="recipe"):
        load_recipe("lift-bsae")
    with pytest.raises(RecipeError, match=r"no\.toml"):
        load_recipe(tmp_path / "no.toml")


def test_steps_are_those_of_all_phases() -> None:
    recipe = Recipe.model_validate({"name": "r", "phases": [{"steps": 3}, {"steps": 4}]})
    assert recipe.steps == 7
