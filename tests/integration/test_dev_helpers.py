"""The helper for tests, client/python-testing, has the routes, bodies and actions of docs/openapi-dev.yaml, by the same names."""
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

PYTHON_FOLDER = ROOT / "client/python-testing/src"
PYTHON_SOURCES = sorted((PYTHON_FOLDER / "carillon_testing").glob("*.py"))
# Bodies that the helper makes of the arguments of a function, and texts.
WITHOUT_A_TYPE = {"Error", "ErrorText", "Duration", "Time", "Frame", "Action", "Clock", "ClockOrder", "Broker", "JournalKind", "GapReason"}
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
    assert used == served()


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
