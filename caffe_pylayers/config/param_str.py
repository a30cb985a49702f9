"""The grammar of ``param_str``: a Python dict, JSON or YAML, read and never run."""

import ast
import json
import re
import warnings
from typing import Any, Dict, Iterable, Tuple

import yaml

from caffe_pylayers.errors import ConfigError

#: More is refused: Python 3.8 to 3.10 crash on chains of 200,000 operators. It has room for 5000 weights.
MAX_CHARACTERS = 100_000


def parse(param_str: str) -> Dict[str, Any]:
    """Return the options in a param_str: a Python dict, JSON or YAML, tried in that order.

    The outer braces may both be missing. Nothing but white space means no options.

    :raises ConfigError: where it cannot be read, or an option is given twice.

    >>> parse("{'n_classes': 7}") == parse('"n_classes": 7') == parse("n_classes: 7") == {"n_classes": 7}
    True
    """
    text = param_str.strip()
    if not text:
        return {}
    if len(text) > MAX_CHARACTERS:
        raise ConfigError(f"the param_str has {len(text)} characters, but at most {MAX_CHARACTERS} are read")
    braced = "{" + text + "\n}"  # on a line of its own, for a comment may come last
    # Where no way of reading works, the message has the reason of the last one: YAML, which reads the most.
    candidates = [text] if text.startswith("{") else [braced, text] if "\n" in text else [text, braced]
    found = reason = ""
    try:
        for read in (_read_python, _read_json, _read_yaml):
            for candidate in candidates:
                try:
                    options = read(candidate)
                except (ValueError, SyntaxError, TypeError, yaml.YAMLError) as error:
                    reason = _reason(error, candidate is braced)
                    continue
                if isinstance(options, dict):
                    return _named(options)
                found = found or f"this is {_KINDS.get(type(options), shown(options))}, not options"
    except _TwiceError as error:
        found = str(error)
    except (RecursionError, MemoryError):
        found = "it is nested too deep"
    if re.match(r"{?\s*\w+\s*=", text):
        reason = "an option is written 'name': value, not name=value"
    elif text.count("{") != text.count("}"):
        reason = f"a brace is missing: there are {text.count('{')} {{ and {text.count('}')} }}"
    elif not found and _misses_comma(text):
        reason = f"a comma is missing {_misses_comma(text)}"
    raise ConfigError(
        f"cannot read the param_str {shown(text)}: {found or reason}. Write a Python dict, JSON or YAML, such as "
        "{'n_classes': 7, 'scale': 'mean_one'}",
        remedy="nothing in it is run as code",
    )


_TEXT = r"""(?:'[^'\n]*'|"[^"\n]*")"""
_VALUE_THEN_NAME = re.compile(rf"(?:{_TEXT}|[\w.+-]+|[\])}}])\s+(?=({_TEXT})\s*:)")


def _misses_comma(text: str) -> str:
    """Before which name a comma is missing, in words; "" where none is. Only names in quotes tell."""
    match = _VALUE_THEN_NAME.search(text)
    return f"before {match[1]}" if match else ""


def shown(value: Any) -> str:
    """Return a value as a message shows it: as Python writes it, on one line, and shortened."""
    try:
        text = repr(value)
    except ValueError:  # Python does not write integers of thousands of digits
        text = f"a {type(value).__name__} too long to show"
    return text if len(text) <= 100 else text[:60] + " ... " + text[-30:]


_KINDS = {str: "text", int: "a number", float: "a number", list: "a list", tuple: "a list", set: "a set"}


class _TwiceError(Exception):
    """An option is given twice."""


def _reason(error: Exception, braced: bool) -> str:
    if not isinstance(error, yaml.MarkedYAMLError) or error.problem_mark is None:
        return str(getattr(error, "reason", error))
    line, column = error.problem_mark.line, error.problem_mark.column
    return f"{error.problem} (line {line + 1}, column {column if braced and line == 0 else column + 1})"


def _named(options: Dict[Any, Any]) -> Dict[str, Any]:
    for key in options:
        if not isinstance(key, str):
            raise ConfigError(f"the name of an option must be text, not {shown(key)}")
    return options


def _unique(pairs: Iterable[Tuple[Any, Any]]) -> Dict[Any, Any]:
    options: Dict[Any, Any] = {}
    for key, value in pairs:
        if key in options:
            raise _TwiceError(f"option {shown(key)} is given twice")
        options[key] = value
    return options


def _read_python(text: str) -> Any:
    if re.search(r"\\u[dD][89abAB]", text):
        raise ValueError("JSON writes some characters as two escapes, which Python would not join")
    if re.search(r"^\s*-\s|\\$", text, re.MULTILINE):
        raise ValueError(
            "a list of YAML, which Python would take for a minus, or a folded line, which it folds otherwise"
        )
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # an escape that Python does not know is one of JSON or YAML
        tree = _NumPyScalars().visit(ast.parse(text, mode="eval"))
    options = ast.literal_eval(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Dict):
            _unique((ast.literal_eval(key), None) for key in node.keys if key is not None)
    return options


class _NumPyScalars(ast.NodeTransformer):
    """Numbers as NumPy 2 writes them in repr, `np.float64(0.5)` and `np.True_`, become what they are."""

    def visit_Call(self, node: ast.Call) -> ast.AST:
        named = isinstance(node.func, ast.Attribute) and _of_numpy(node.func) and _SCALAR.fullmatch(node.func.attr)
        return node.args[0] if named and len(node.args) == 1 and not node.keywords else node

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        known = _of_numpy(node) and node.attr in ("True_", "False_")
        return ast.copy_location(ast.Constant(node.attr == "True_"), node) if known else node


_SCALAR = re.compile(r"(float|u?int|str)(\d+|_)")


def _of_numpy(node: ast.Attribute) -> bool:
    return isinstance(node.value, ast.Name) and node.value.id in ("np", "numpy")


def _read_json(text: str) -> Any:
    return json.loads(text, object_pairs_hook=_unique)


def _read_yaml(text: str) -> Any:
    return yaml.load(text, Loader=_Loader)


class _Loader(yaml.SafeLoader):
    """Safe YAML, less what makes a value of a slip: octal, sexagesimal, dates, tags, anchors, punctuation."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        event = self.peek_event()
        problem, mark = None, event.start_mark
        if isinstance(event, yaml.AliasEvent) or event.anchor is not None or event.tag is not None:
            problem = "the anchors, aliases and tags of YAML (& * !) are not read"
        elif isinstance(event, yaml.ScalarEvent) and event.style is None:
            if isinstance(index, yaml.ScalarNode) and not event.value:
                problem, mark = f"{shown(index.value)} has no value", index.start_mark
            elif re.search(r"""[][(){}'",=]""", event.value):
                problem = f"text with brackets, quotes, commas or '=' must be in quotes: {shown(event.value)}"
        if problem is not None:
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=mark)
        return super().compose_node(parent, index)

    def construct_mapping(self, node: Any, deep: bool = False) -> Dict[Any, Any]:
        mapping = super().construct_mapping(node, deep)
        if len(mapping) < len(node.value):
            _unique((self.construct_object(key), None) for key, _ in node.value)
        return mapping


_Loader.yaml_implicit_resolvers = {}  # of text without quotes, in place of SafeLoader's
for _tag, _pattern, _first in (
    ("bool", "(?i:yes|no|true|false|on|off)", "yYnNtTfFoO"),
    ("null", "(?i:null)|~|", ["n", "N", "~", ""]),
    ("int", "[-+]?(0|[1-9][0-9]*)", "-+0123456789"),
    ("float", r"[-+]?((0|[1-9][0-9]*)\.[0-9]*|\.[0-9]+)([eE][-+][0-9]+)?", "-+.0123456789"),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(rf"(?:{_pattern})\Z"), _first)
