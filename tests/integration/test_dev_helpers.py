"""The helpers for tests, client/testing and client/python-testing, have the routes, bodies and actions of docs/openapi-dev.yaml, by the
same names."""
import importlib
import inspect
import json
import re
import subprocess
import sys
import typing

import pytest
from support.carillon import ROOT
from test_openapi import PYTHON, needs_validator
from test_openapi_dev import DOCUMENT, served

NODE_SOURCES = sorted((ROOT / "client/testing/src").glob("*.ts"))
PYTHON_FOLDER = ROOT / "client/python-testing/src"
PYTHON_SOURCES = sorted((PYTHON_FOLDER / "carillon_testing").glob("*.py"))
# Bodies that the helpers make of the arguments of a function, and texts.
WITHOUT_A_TYPE = {"Error", "ErrorText", "Duration", "Time", "Frame", "Action", "Clock", "ClockOrder", "Broker", "JournalKind", "GapReason"}
# The line that a server prints when it starts is what it answers there, so the helpers need not ask.
NOT_ASKED = {("GET", "/dev/v1/server")}
AT_CONNECT_ONLY = {"refuse", "slow_handshake"}

pytestmark = needs_validator


@pytest.fixture(scope="module")
def schemas():
    program = "import json, sys, yaml; json.dump(yaml.safe_load(open(sys.argv[1]))['components']['schemas'], sys.stdout)"
    done = subprocess.run([PYTHON, "-c", program, DOCUMENT], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def members(schemas, schema):
    """(all members, those that must be there)"""
    if "$ref" in schema:
        return members(schemas, schemas[schema["$ref"].rpartition("/")[2]])
    named, required = set(schema.get("properties", ())), set(schema.get("required", ()))
    for part in schema.get("allOf", ()):
        more, needed = members(schemas, part)
        named, required = named | more, required | needed
    return named, required


def actions(schemas):
    return {one["properties"]["do"]["const"]: (set(one["properties"]) - {"do"}, set(one["required"]) - {"do"}) for one in schemas["Action"]["oneOf"]}


# --- client/python-testing ---


@pytest.fixture(scope="module")
def helper():
    sys.path.insert(0, str(PYTHON_FOLDER))
    try:
        yield importlib.import_module("carillon_testing")
    finally:
        sys.path.remove(str(PYTHON_FOLDER))


def test_the_python_helper_has_each_route():
    used = set()
    for source in PYTHON_SOURCES:
        for method, path in re.findall(r'"(GET|POST|PUT|DELETE)", f?"(/dev/v1/[^"?]*)', source.read_text()):
            used.add((method, re.sub(r"{.*}", "{id}", path)))
    assert used == served() - NOT_ASKED


def test_the_python_helper_has_each_type(helper, schemas):
    bodies = importlib.import_module("carillon_testing.bodies")
    for name in schemas.keys() - WITHOUT_A_TYPE:
        body = getattr(bodies, name)
        assert set(typing.get_type_hints(body)) == members(schemas, schemas[name])[0], name
        optional = {key for key, hint in typing.get_type_hints(body, include_extras=True).items() if typing.get_origin(hint) is typing.NotRequired}
        required = set(body.__required_keys__) - optional
        assert required == members(schemas, schemas[name])[1], name
    for name in ("JournalKind", "GapReason"):
        assert set(typing.get_args(getattr(bodies, name))) == set(schemas[name]["enum"])
    assert set(typing.get_args(bodies.BrokerState)) == set(schemas["Broker"]["properties"]["state"]["enum"])


def test_the_python_helper_has_each_action(helper, schemas):
    for name, (named, required) in actions(schemas).items():
        if name in AT_CONNECT_ONLY:
            continue
        parameters = dict(inspect.signature(getattr(helper.Target, name)).parameters)
        del parameters["self"]
        assert {parameter.rstrip("_") for parameter in parameters} == named, name
        assert {key for key, parameter in parameters.items() if parameter.default is parameter.empty} == required, name


# --- client/testing ---


def node_sources():
    return "\n".join(source.read_text() for source in NODE_SOURCES)


def interface_members(text):
    """(all members, those that must be there) of the text between the braces of an interface, on its first level."""
    text = re.sub(r"/\*\*.*?\*/", "", text, flags=re.S)
    while (flat := re.sub(r"{[^{}]*}", "_", text)) != text:
        text = flat
    found = re.findall(r"(?:^|;)\s*(\w+)(\??):", text, re.M)
    return {name for name, _ in found}, {name for name, mark in found if not mark}


def interfaces():
    """Each by its name, with what it extends."""
    found = {}
    for name, base, text in re.findall(r"^export interface (\w+)(?: extends (\w+))? {\n(.*?)^}", node_sources(), re.M | re.S):
        more = found.get(base, (set(), set()))
        own = interface_members(text)
        found[name] = (own[0] | more[0], own[1] | more[1])
    return found


def test_the_node_helper_has_each_route():
    text = node_sources()
    paths = {re.sub(r"\${.*?}$", "{id}", path) for path in re.findall(r'["`](/dev/v1/[^"`?]*)', text)}
    assert paths == {path for _, path in served() - NOT_ASKED}
    methods = {(method, re.sub(r"\${.*}", "{id}", path)) for method, path in re.findall(r'"(GET|POST|PUT|DELETE)", ["`](/dev/v1/[^"`?]*)', text)}
    assert methods <= served() and len(methods) > 12


def test_the_node_helper_has_each_type(schemas):
    found = interfaces()
    named = schemas.keys() - WITHOUT_A_TYPE - {"On"}
    inner = {"SavedChannel", "SavedRevocation", "SavedRule"}  # they are written where they are used
    assert named - inner <= found.keys()
    for name in named - inner:
        expected = members(schemas, schemas[name])
        # The user is an argument of its own.
        without = {"sub"} if name in ("TokenWish", "TicketWish") else set()
        # A binary message has no frame, which is all that a test sees of it.
        without = {"bytes"} if name == "JournalLine" and "bytes" not in found[name][0] else without
        assert found[name][0] == expected[0] - without, name
        assert found[name][1] == expected[1], name
    for name in ("JournalKind", "GapReason"):
        text = re.search(rf"^export type {name} =(.*?);", node_sources(), re.M | re.S)[1]
        assert set(re.findall(r'"(\w+)"', text)) == set(schemas[name]["enum"])


def test_the_node_helper_has_each_action(schemas):
    text = re.search(r"^export interface ActionMembers {\n(.*?)^}", node_sources(), re.M | re.S)[1]
    found = {name: interface_members(inner or "") for name, inner in re.findall(r"^  (\w+): (?:object|{(.*)});$", text, re.M)}
    assert found == actions(schemas)
