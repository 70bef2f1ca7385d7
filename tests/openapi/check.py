"""check.py DOCUMENT < EXCHANGES - checks an OpenAPI document. It must be valid, and its examples must fit its own schemas. Requests and
answers of a server must be as it says. EXCHANGES: JSON, a list of {method, path, status, request, type, answer}, or, of requests that the
server sends, {webhook, headers, body}. An absent body is null, and so is the type of an empty answer. Prints a JSON list of what is wrong. Runs in build/validator, which has the packages of packages.lock (./run test makes it)."""
import json
import sys

import yaml
from jsonschema import Draft202012Validator
from openapi_schema_validator import OAS31Validator
from openapi_spec_validator import OpenAPIV31SpecValidator
from referencing import Registry
from referencing.exceptions import Unresolvable
from referencing.jsonschema import DRAFT202012

HERE = "urn:document"


class Document:
    def __init__(self, path):
        with open(path) as file:
            self.root = yaml.load(file, OneOfEach)
        self.registry = Registry().with_resource(HERE, DRAFT202012.create_resource(self.root))

    def follow(self, *steps):
        """The value there and the steps to it, once references are resolved, or None."""
        found, at = self.root, []
        for step in steps:
            if step not in found:
                return None, at
            found, at = found[step], [*at, step]
            if isinstance(found, dict) and "$ref" in found:
                at = found["$ref"].removeprefix("#/").split("/")
                found = self.follow(*at)[0]
        return found, at

    def mismatches(self, value, steps, where):
        """Of a value and the schema there. Members that a schema does not name are wrong too: the document must tell all."""
        pointer = "/".join(step.replace("~", "~0").replace("/", "~1") for step in steps)
        schema = {"$ref": f"{HERE}#/{pointer}", "unevaluatedProperties": False}
        return [f"{where}: {e.json_path}: {e.message}" for e in OAS31Validator(schema, registry=self.registry).iter_errors(value)]

    def mappings(self):
        """Each with the steps to it."""
        def walk(node, at):
            if isinstance(node, dict):
                yield node, at
                for key, value in node.items():
                    yield from walk(value, [*at, key])
        yield from walk(self.root, [])

    def schemas(self):
        for node, at in self.mappings():
            if "schema" in node:
                yield node["schema"], [*at, "schema"]
        for name, schema in self.root["components"]["schemas"].items():
            yield schema, ["components", "schemas", name]

    def examples(self):
        """With the steps to the schema that each belongs to."""
        return [(node["example"], [*at, "schema"]) for node, at in self.mappings() if "schema" in node and "example" in node]


class OneOfEach(yaml.SafeLoader):
    """Refuses what is there twice, and a key without a value: so ends an unquoted comma in { description: this, that }."""

    def construct_mapping(self, node, deep=False):
        mapping = super().construct_mapping(node, deep)
        if len(mapping) != len(node.value) or None in mapping.values():
            raise yaml.constructor.ConstructorError(None, None, "a key without a value, or one that is there twice", node.start_mark)
        return mapping


def invalid(document):
    try:
        return [f"{'/'.join(map(str, e.absolute_path))}: {e.message}" for e in OpenAPIV31SpecValidator(document.root).iter_errors()]
    except Unresolvable as error:
        return [f"{error.ref} is not in the document"]


def invalid_schemas(document):
    """The validator of documents takes any mapping for a schema."""
    meta = Draft202012Validator(Draft202012Validator.META_SCHEMA)
    for schema, steps in document.schemas():
        yield from (f"{'/'.join(steps)}: {e.json_path}: {e.message}" for e in meta.iter_errors(schema))


def wrong_examples(document):
    for example, steps in document.examples():
        yield from document.mismatches(example, steps, f"example of {'/'.join(steps)}")


def wrong_with_exchange(document, e):
    where = f"{e['method']} {e['path']} {e['status']}"
    operation = ["paths", e["path"], e["method"].lower()]
    if e["request"] is not None:
        steps = [*document.follow(*operation, "requestBody")[1], "content", "application/json", "schema"]
        if e["status"] < 300:
            yield from document.mismatches(e["request"], steps, f"{where}: request")
    answer, at = document.follow(*operation, "responses", str(e["status"]))
    if answer is None:
        yield f"{where} is not in the document"
    elif e["type"] is None and "content" not in answer:
        return  # an empty answer
    elif e["type"] not in answer.get("content", {}):
        yield f"{where}: {e['type']} is not in the document"
    else:
        yield from document.mismatches(e["answer"], [*at, "content", e["type"], "schema"], where)


def wrong_webhook(document, e):
    """Headers that neither Carillon nor CloudEvents has a name for are those of HTTP or of the client."""
    item = ["webhooks", e["webhook"]]
    parameters = [*(document.follow(*item, "parameters")[0] or []), *(document.follow(*item, "post", "parameters")[0] or [])]
    parameters = [document.follow(*p["$ref"].removeprefix("#/").split("/"))[0] if "$ref" in p else p for p in parameters]
    named = {parameter["name"]: parameter for parameter in parameters}
    for name in sorted(named.keys() - e["headers"].keys()):
        if named[name].get("required"):
            yield f"{e['webhook']}: it has no {name}"
    for name, value in e["headers"].items():
        if name in named:
            errors = OAS31Validator(named[name]["schema"]).iter_errors(value)
            yield from (f"{e['webhook']}: {name}: {error.message}" for error in errors)
        elif name.startswith(("ce-", "webhook-", "carillon-")) or name == "traceparent":
            yield f"{e['webhook']}: {name} is not in the document"
    body, at = document.follow(*item, "post", "requestBody", "content")
    kind = e["headers"].get("content-type", "").partition(";")[0]
    if (body is None) != (e["body"] is None):
        yield f"{e['webhook']}: it has a body, or the document says so, but not both"
    elif body is not None and kind not in body:
        yield f"{e['webhook']}: {kind} is not in the document"
    elif body is not None:
        yield from document.mismatches(e["body"], [*at, kind, "schema"], e["webhook"])


def wrong_with(document, e):
    return wrong_webhook(document, e) if "webhook" in e else wrong_with_exchange(document, e)


def main():
    try:
        document = Document(sys.argv[1])
    except yaml.YAMLError as error:
        return [str(error)]
    return invalid(document) or [*invalid_schemas(document)] or [*wrong_examples(document),
                                                                 *(w for e in json.load(sys.stdin) for w in wrong_with(document, e))]


if __name__ == "__main__":
    json.dump(main(), sys.stdout)
