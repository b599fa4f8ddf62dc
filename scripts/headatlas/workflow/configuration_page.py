"""The page of all configuration keys, made from the schema: python -m headatlas.workflow.configuration_page."""

import json

from headatlas.workflow import schema

PAGE = schema.SCHEMA.parents[1] / "docs" / "configuration.md"
_OPENING = """# Configuration: every key

Made from [the schema](../config/schema.yaml): edit it there, then
`PYTHONPATH=scripts python -m headatlas.workflow.configuration_page`.

Settings are layered: a file given by `--configfile` stands on top of [config.yaml](../config.yaml), the embedded
default. A name given there is added, a key given there wins, a list given there replaces the other. A key that no file
gives has the default below. A key, name or size that is not allowed stops a run before its first job, with one line
that says what is allowed. So does a file that is no YAML (a tab, an open bracket, a key given twice, nothing in it),
with its line: Snakemake reads it before any rule file, so the profile looks at it first; without our profile
(`--workflow-profile none`, or as a module of another workflow) Snakemake's own words come.

YAML reads `no`, `on` and digits alone as something other than text: put names and revisions such as `"no"` and
`"0012345"` in quotes. An editor with a YAML language server explains keys as they are written, if a file begins with
`# yaml-language-server: $schema=PATH/config/schema.yaml`.
"""


def page():
    """The page, as Markdown."""
    written = {}
    for title, about, rules in _sections("", schema.load()):
        written.setdefault(title, f"## {title}\n\n{about}{_table(rules)}")
    return "\n".join([_OPENING, *written.values()])


def _sections(key, rules, about=""):
    """(title, what it is, rules) of every mapping, parents first."""
    rules = followed(rules)
    if "properties" not in rules and "additionalProperties" in rules:
        yield from _sections(f"{key}.NAME", rules["additionalProperties"])
        return
    variants = list(_variants(rules))
    for condition, variant in variants:
        title = f"`{key}`{condition}" if key else "Top level"
        sentence = about or variant.get("description", "")
        yield title, f"{sentence[:1].upper()}{sentence[1:]}.\n\n" if sentence else "", variant
    for _, variant in variants:
        for name, inner in variant["properties"].items():
            inner = followed(inner)
            if _is_section(inner):
                yield from _sections(schema.join(key, name), inner, inner["description"])
            elif _is_section(followed(inner.get("items", {}))):
                yield from _sections(f"{schema.join(key, name)}.N", inner["items"], f"one of {inner['description']}")


def _variants(rules):
    """(on which condition, rules) of a mapping: several where its keys depend on one of them."""
    if "allOf" in rules:
        for branch in rules["allOf"]:
            chosen, ((name, value),) = followed(branch["then"]), branch["if"]["properties"].items()
            source = {**rules["properties"][name], "enum": [value["const"]]}
            required = rules["required"] + chosen.get("required", [])
            properties = {**chosen["properties"], name: source}
            yield f" with `{name}: {value['const']}`", {**chosen, "properties": properties, "required": required}
    elif "if" in rules:
        (name,) = rules["if"]["required"]
        yield f" with `{name}`", followed(rules["then"])
        yield f" without `{name}`", followed(rules["else"])
    else:
        yield "", rules


def followed(rules):
    """Rules with those that a reference leads to, under those that stand beside it."""
    if "$ref" not in rules:
        return rules
    name = rules["$ref"].rpartition("/")[2]
    return {**followed(schema.load()["$defs"][name]), **{key: value for key, value in rules.items() if key != "$ref"}}


def _is_section(rules):
    return "object" in rules.get("type", "") and "allowed" not in rules


def _table(rules):
    lines = ["| key | meaning | allowed | default |", "|---|---|---|---|"]
    for key, inner in rules["properties"].items():
        inner = followed(inner)
        default = "must be given" if key in rules.get("required", []) else ""
        if inner.get("default", {}) != {}:  # what {} stands for is in the section of its own
            default = f"`{json.dumps(inner['default'], ensure_ascii=False)}`"
        lines.append(f"| `{key}` | {inner['description']} | {allowed(inner)} | {default} |")
    return "\n".join(lines) + "\n"


def allowed(rules):
    """What a value may be, in words."""
    rules = followed(rules)
    if "allowed" in rules:
        return rules["allowed"]
    if rules.get("if") == {"type": "null"}:
        return f"{allowed(rules['else'])}, or null"
    if "enum" in rules:
        return ", ".join(f"`{value}`" for value in rules["enum"])
    types = [rules["type"]] if isinstance(rules["type"], str) else rules["type"]
    words = _OF_TYPE[types[0]](rules)
    return f"{words}, or null" if "null" in types else words


def _list(rules):
    least, most = rules.get("minItems", 0), rules.get("maxItems")
    return f"list{f' of {most}' if most == least else ''}, each: {allowed(rules['items'])}"


def _number(rules):
    least = [f"at least {rules['minimum']}"] if "minimum" in rules else []
    least += [f"more than {rules['exclusiveMinimum']}"] if "exclusiveMinimum" in rules else []
    most = [f"at most {rules['maximum']}"] if "maximum" in rules else []
    most += [f"less than {rules['exclusiveMaximum']}"] if "exclusiveMaximum" in rules else []
    kind = "number" if "number" in rules["type"] else "whole number"
    return ", ".join([kind, *least, *most])


_OF_TYPE = {
    "boolean": lambda rules: "`true`, `false`",
    "string": lambda rules: "text",
    "integer": _number,
    "number": _number,
    "array": _list,
    "object": lambda rules: "mapping, see below",
}


if __name__ == "__main__":
    PAGE.write_text(page())
