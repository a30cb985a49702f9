"""The list of the rules of `check`."""

import importlib
import inspect
import pkgutil

from caffe_pylayers.commands import check
from caffe_pylayers.commands.check.report import Report
from caffe_pylayers.commands.check.rules import RULES, Scope


def test_each_rule_is_listed_once():
    modules = [
        importlib.import_module(f"{check.__name__}.{found.name}") for found in pkgutil.iter_modules(check.__path__)
    ]
    written = [
        function
        for module in modules
        for name, function in inspect.getmembers(module, inspect.isfunction)
        if name.startswith("check_") and function.__module__ == module.__name__
        if [each.annotation for each in inspect.signature(function).parameters.values()][1:] == [Report]
    ]
    listed = [rule for _, rule in RULES]
    assert len(written) > 20
    assert sorted(written, key=repr) == sorted(listed, key=repr)
    assert {scope for scope, _ in RULES} == set(Scope)
