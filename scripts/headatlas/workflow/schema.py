"""The configuration's schema: defaults filled in, and one line that says what is wrong and what is allowed."""

import copy
import json
import re
import sys
from difflib import get_close_matches
from functools import cache
from pathlib import Path

import jsonschema
import yaml

from headatlas.base.errors import InputError

SCHEMA = Path(__file__).parents[3] / "config" / "schema.yaml"
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+", re.ASCII)  # YAML 1.1 takes 1e-3 for text
_OCTAL = re.compile(r"[-+]?0[0-7_]*[0-7]")
_SIXTIES = re.compile(r"[-+]?\d[\d_]*(:[0-5]?\d)+(\.\d*)?")


@cache
def load():
    """The schema, as a dictionary."""
    return yaml.CSafeLoader(SCHEMA.read_text()).get_single_data()


def filled(config):
    """A configuration that the schema allows, with the defaults of all keys that are not given.

    Parameters
    ----------
    config : mapping

    Returns
    -------
    dict
        A copy; numbers such as 1e-3, which YAML reads as text, are numbers.

    Raises
    ------
    InputError
        For a key, type or value that the schema does not allow.
    """
    config = _as_dicts(config)
    for section, rules in load()["properties"].items():
        if section not in config and "default" not in rules:
            raise InputError(f"{section}: missing; it must be given")
    validator = _Validator(load())
    errors = list(validator.iter_errors(config))
    corrected = [_read_as_number(config, leaf) for error in errors for leaf in _leaves(error)]
    if any(corrected):
        errors = list(validator.iter_errors(config))
    if errors:
        raise InputError(explain(errors[0]))
    return config


def _fill(validator, properties, instance, schema):
    """Check of `properties` that sets a key's default first, so that it is checked and filled in turn."""
    if isinstance(instance, dict):
        for key, rules in properties.items():
            if "default" in rules:
                instance.setdefault(key, copy.deepcopy(rules["default"]))
    yield from jsonschema.Draft202012Validator.VALIDATORS["properties"](validator, properties, instance, schema)


_Validator = jsonschema.validators.extend(jsonschema.Draft202012Validator, {"properties": _fill})


def _as_dicts(value):
    """A copy of plain dictionaries and lists, of which no part is shared with another."""
    if isinstance(value, dict):
        return {key: _as_dicts(inner) for key, inner in value.items()}
    return [_as_dicts(inner) for inner in value] if isinstance(value, list) else value


def _leaves(error):
    if not error.context:
        return [error]
    return [leaf for inner in error.context for leaf in _leaves(inner)]


def _read_as_number(config, error):
    """Whether text stood where a number should, and was one: it is then put in its place."""
    numeric = error.validator == "type" and {"number", "integer"} & set(_listed(error.validator_value))
    if not numeric or not isinstance(error.instance, str) or not _NUMBER.fullmatch(error.instance):
        return False
    *sections, last = error.absolute_path
    place = config
    for section in sections:
        place = place[section]
    place[last] = float(error.instance)
    return True


def explain(error):
    """One line for a violation of the schema: the key, the value found, what is allowed.

    Parameters
    ----------
    error : jsonschema.exceptions.ValidationError

    Returns
    -------
    str
    """
    error = _deepest(error)
    where = ".".join(str(part) for part in error.absolute_path)
    found, allowed = error.instance, error.validator_value
    if error.validator == "additionalProperties":
        known = sorted(error.schema["properties"])
        wrong = min(map(str, set(found) - set(known)))
        return f"{join(where, wrong)}: unknown key; {hint(wrong, known)}allowed: {', '.join(known)}"
    if error.validator == "required":
        missing = next(key for key in allowed if key not in found)
        return f"{join(where, missing)}: missing; it must be given"
    if "propertyNames" in error.absolute_schema_path:
        name = _short(found)
        return f"{join(where, name.strip(chr(39)))}: {name} is not a name{_misread(found)}; allowed: {_named()}"
    rule = {
        "type": lambda: " or ".join(_OF_TYPE[kind] for kind in _listed(allowed)),
        "enum": lambda: f"one of {', '.join(map(str, allowed))}",
        "minimum": lambda: f"at least {allowed}",
        "maximum": lambda: f"at most {allowed}",
        "exclusiveMinimum": lambda: f"more than {allowed}",
        "exclusiveMaximum": lambda: f"less than {allowed}",
        "minItems": lambda: f"a list of at least {allowed}",
        "maxItems": lambda: f"a list of at most {allowed}",
        "minProperties": lambda: f"at least {allowed} entry",
        "minLength": lambda: "text that is not empty",
        "uniqueItems": lambda: "a list without repeats",
        "const": lambda: repr(allowed),
        "pattern": lambda: error.schema["allowed"],
    }.get(error.validator, lambda: error.message)
    misread = _misread(found) if error.validator == "type" and "string" in _listed(allowed) else ""
    return f"{where or 'the configuration'}: {_short(found)} found{misread}; allowed: {rule()}"


def _misread(found):
    """What YAML made of something that was meant as text, and what helps."""
    if isinstance(found, bool):
        return " (YAML reads no, off, on and yes as truth values: put the text in quotes)"
    if isinstance(found, int | float):
        return " (a number: put the text in quotes)"
    if type(found).__module__ == "datetime":
        return " (a date: put the text in quotes)"
    return ""


def check_file(path):
    """Look in a configuration file for what cannot be read, and for what YAML reads as something else without a word.

    Parameters
    ----------
    path : path-like

    Raises
    ------
    InputError
        For a file that is not there, not UTF-8, not YAML, or has no keys; for a number that is read as octal (010 is 8)
        or to the base of 60 (1:30 is 90), and for a key that is given twice, of which only the last would count; with
        file and line.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not text in UTF-8 (byte {error.start}); allowed: YAML, as in config.yaml") from None
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; allowed: a configuration file") from None
    try:
        root = yaml.compose(text, yaml.CSafeLoader)
    except yaml.YAMLError as error:
        if not _is_json(text):  # which may be indented by tabs
            raise InputError(f"{path}{_where(error, text)}; allowed: YAML, as in config.yaml") from None
        return
    if not isinstance(root, yaml.MappingNode):
        found = "nothing in it" if root is None else f"{_KINDS[type(root)]} at its top"
        raise InputError(f"{path}: {found}; allowed: keys with values, as in config.yaml")
    _check_node(root, path, "", set())


_KINDS = {yaml.SequenceNode: "a list", yaml.ScalarNode: "a single value"}


def _is_json(text):
    try:
        return isinstance(json.loads(text), dict)
    except ValueError:
        return False


def _where(error, text):
    """Where a text is no YAML and what is wrong there, to be put behind the file's name."""
    mark = getattr(error, "problem_mark", None)
    if mark is None:
        return f": {' '.join(str(error).split())}"
    lines = text.split("\n")
    line = lines[min(mark.line, len(lines) - 1)]
    begun = getattr(error, "context_mark", None)
    opened = f" ({error.context} from line {begun.line + 1} on)" if error.context and begun else ""
    tab = (
        "a tab, where YAML takes spaces alone" if re.match(r"\s*\t", line) or line[mark.column :][:1] == "\t" else None
    )
    return f", line {mark.line + 1}: {tab or f'{error.problem}{opened}'}"


def check_given(arguments):
    """Look at the configuration files of a command line, before Snakemake reads them, and end with one line.

    Parameters
    ----------
    arguments : sequence of str
        The command line.
    """
    taken = False
    for argument in arguments:
        if argument.startswith("-"):
            option, _, value = argument.partition("=")
            taken = option in ("--configfile", "--configfiles") and not value
            files = [value] if value and option in ("--configfile", "--configfiles") else []
        else:
            files = [argument] * taken
        for file in files:
            try:
                check_file(file)
            except InputError as error:
                if file.endswith((".yaml", ".yml", ".json")):
                    sys.exit(str(error))
                taken_for = "--configfile, which takes all that follows it for files"
                sys.exit(f"{error}; a target stands before {taken_for}: snakemake {file} --configfile ...")


def _check_node(node, path, key, seen):
    if id(node) in seen:  # an alias of what was looked at
        return
    seen.add(id(node))
    place = f"{path}, line {node.start_mark.line + 1}: {key}"
    if isinstance(node, yaml.MappingNode):
        lines = {}
        for name, value in node.value:
            if not isinstance(name, yaml.ScalarNode):
                raise InputError(
                    f"{path}, line {name.start_mark.line + 1}: {key}: a key that is no text; allowed: text"
                )
            inner = join(key, name.value)
            if name.value in lines and name.value != "<<":
                line = name.start_mark.line + 1
                raise InputError(
                    f"{path}, line {line}: {inner}: given in line {lines[name.value]} too; allowed: each key once"
                )
            lines[name.value] = name.start_mark.line + 1
            _check_node(value, path, inner, seen)
    elif isinstance(node, yaml.SequenceNode):
        for position, value in enumerate(node.value):
            _check_node(value, path, join(key, position), seen)
    elif node.tag.endswith((":int", ":float")):
        base = 8 if _OCTAL.fullmatch(node.value) else 60 if _SIXTIES.fullmatch(node.value) else None
        if base:
            read = yaml.safe_load(node.value)
            raise InputError(
                f"{place}: {node.value} is read as {read}, a number to the base of {base}; "
                f"allowed: {read}, or '{node.value}' in quotes where text is meant"
            )


def _deepest(error):
    while error.context:
        error = max(error.context, key=lambda inner: len(inner.absolute_path))
    return error


def _named():
    return load()["$defs"]["named"]["propertyNames"]["allowed"]


def _short(value):
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def hint(name, known):
    """ "did you mean 'layers'? ", or nothing, if no known name is close."""
    close = get_close_matches(str(name), known, 1)
    return f"did you mean {close[0]!r}? " if close else ""


def known(key, name, section):
    """Raise an `InputError` unless a name that a key gives is in a section of the configuration."""
    if name not in section:
        close = hint(name, list(section))
        given = sorted(known for known in section if not known.startswith("circuits-"))  # runs of a sweep are too many
        allowed = ", ".join(given or sorted(section))
        raise InputError(f"{key}: {name!r} is not configured; {close}allowed: {allowed}")


def join(where, key):
    """A dotted key."""
    return f"{where}.{key}" if where else str(key)


def _listed(types):
    return [types] if isinstance(types, str) else types


_OF_TYPE = {
    "array": "a list",
    "boolean": "true or false",
    "integer": "a whole number",
    "null": "null",
    "number": "a number",
    "object": "a mapping of keys to values",
    "string": "text",
}
