"""The rewrites of Emscripten's generated code."""

import re

import pytest

from pyodide_offline.errors import AssemblyError
from pyodide_offline.workers import glue
from tests.peers import pyodide

VERSION = "314.0.6"


def rewrite(
    text: str, name: str = "pyodide.asm.mjs", public: str = VERSION, form: str = glue.ASM
) -> glue.Rewritten:
    return glue.rewrite(text, name, version=VERSION, public_version=public, form=form)


def test_every_spot_is_replaced_and_counted():
    done = rewrite(pyodide.script(VERSION))
    for spot in glue.SPOTS:
        # One replacement begins with what it replaces: the body is put in front of the old one.
        assert done.text.count(spot.find) == (1 if spot.name == "load-library" else 0), spot.name
        assert done.counts[spot.name] == spot.count


@pytest.mark.parametrize(
    "spot", [*glue.SPOTS, glue.EXPORTS["pyodide.asm.mjs"]], ids=lambda s: s.name
)
def test_a_missing_spot_is_an_error_that_names_it(spot):
    text = pyodide.script(VERSION).replace(spot.find, "", 1)
    with pytest.raises(AssemblyError, match=f"'{spot.name}'.*found {spot.count - 1} times"):
        rewrite(text)


@pytest.mark.parametrize("spot", glue.SPOTS, ids=lambda s: s.name)
def test_a_spot_too_many_is_an_error_that_names_it(spot):
    with pytest.raises(AssemblyError, match=f"'{spot.name}'"):
        rewrite(pyodide.script(VERSION) + spot.find)


def test_the_module_exports_its_factory_by_name_and_by_default():
    for name in glue.EXPORTS:
        done = rewrite(pyodide.script(VERSION, module=name.endswith("mjs")), name)
        assert done.text.count("export { _createPyodideModule };") == 1
        assert done.text.count("export default _createPyodideModule;") == 1
        assert "globalThis._createPyodideModule =" not in done.text


def test_only_the_public_version_is_changed():
    done = rewrite(pyodide.script(VERSION), public="315.0.0")
    assert 'var pub="315.0.0";' in done.text
    assert f'API.version="{VERSION}";' in done.text
    assert done.counts["public-version"] == 1


def test_the_scripts_folder_is_not_looked_for_where_it_would_be():
    looks = 'var d="";try{scriptDirectory=new URL(".",_scriptName).href}catch{}{more()}'
    done = rewrite(pyodide.script(VERSION) + looks)
    assert 'var d="";{more()}' in done.text
    assert done.counts["script-folder"] == 1
    assert rewrite(pyodide.script(VERSION)).counts["script-folder"] == 0


def test_two_public_versions_are_one_too_many():
    with pytest.raises(AssemblyError, match=r"'public-version'.*2 times"):
        rewrite(pyodide.script(VERSION) + f'var again="{VERSION}";', public="315.0.0")


def test_nothing_imported_is_left_unused():
    done = rewrite(pyodide.script(VERSION))
    head, _, body = done.text.partition("\n")
    names = head.split("{")[1].split("}")[0].replace(" ", "").split(",")
    # location and addEventListener stand for globals that the code asks for by name.
    for name in set(names) - {"location", "addEventListener"}:
        assert f"{name}" in body, name


def test_the_revision_changes_with_a_rule(monkeypatch):
    before = glue.revision()
    monkeypatch.setattr(glue, "SPOTS", glue.SPOTS[:-1])
    assert glue.revision() != before


@pytest.mark.parametrize("form", [glue.SETUP, glue.SETUP_AS_DATA])
def test_the_earlier_forms_hold_all_that_the_rewrites_call(form):
    text = rewrite(pyodide.script(VERSION), form=form).text
    names = ["location", "addEventListener", "newWasmModule", "wasmInstantiate"]
    names += ["monotonicDateNow", "getRandomValues", "patchedLoadLibData", "noEvalInWorkerd"]
    for name in names:
        assert re.search(rf"^(async )?(function|var) {name}\b", text, re.MULTILINE), name
    assert "export async function instantiateEmscriptenModule" in text
    assert "builtin_wrappers" not in text


def test_what_is_read_as_data_imports_nothing():
    text = rewrite(pyodide.script(VERSION), form=glue.SETUP_AS_DATA).text
    assert not re.search(r"^import ", text, re.MULTILINE)
    assert "const unsafeEval = null;" in text
    text = rewrite(pyodide.script(VERSION), form=glue.SETUP).text
    assert text.startswith('import unsafeEval from "internal:unsafe-eval";')


def test_the_revision_changes_with_the_setup_module(monkeypatch):
    before = glue.revision()
    monkeypatch.setattr(glue, "_setup", lambda: "other")
    assert glue.revision() != before
