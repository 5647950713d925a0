# SPDX-License-Identifier: BSD-3-Clause
"""_when.py - the conditions of @when, of calls with when=, and of wait().

A condition becomes a function with the parameters of the method that it is
for, so that the extension calls it with the message's own arguments. It is
compiled once, with the globals of the module of that method.
"""

import ast
import builtins
import sys
import types

from chare import _core

KIND_STATE = 1
KIND_ARGS = 2
KIND_TAG = 3

CO_VARARGS = 0x04
CO_VARKEYWORDS = 0x08


# ---- parameters


class _Params:
    """The parameters of a method, self apart."""

    def __init__(self, function, bound):
        of_class = isinstance(function, types.MethodType)
        if of_class:
            function, bound = function.__func__, True
        while hasattr(function, "__wrapped__"):
            function = function.__wrapped__
        self.rest: str | None
        self.others: str | None
        self.defaults = self.keyword_defaults = None
        if not isinstance(function, types.FunctionType):
            self.first, self.positional, self.only = "self", [], 0
            self.rest, self.keywords, self.others = "args", [], "keywords"
            self.globals = None
            return
        code = function.__code__
        names = code.co_varnames
        end = code.co_argcount + code.co_kwonlyargcount
        self.positional = list(names[: code.co_argcount])
        self.only = code.co_posonlyargcount
        self.keywords = list(names[code.co_argcount : end])
        self.rest = self.others = None
        if code.co_flags & CO_VARARGS:
            self.rest = names[end]
            end += 1
        if code.co_flags & CO_VARKEYWORDS:
            self.others = names[end]
        self.first = self.positional.pop(0) if bound and self.positional else ""
        if bound and self.only:
            self.only -= 1
        if of_class:
            self.first = ""
        self.defaults = function.__defaults__
        self.keyword_defaults = function.__kwdefaults__
        self.globals = function.__globals__

    @property
    def names(self):
        found = {*self.positional, *self.keywords}
        return found | {name for name in (self.rest, self.others) if name}

    def all_args(self):
        """The expression of the tuple of all positional arguments."""
        items: list[ast.expr] = [_load(name) for name in self.positional]
        if self.rest:
            items.append(ast.Starred(_load(self.rest), ast.Load()))
        return ast.Tuple(items, ast.Load())

    def as_ast(self, first):
        """The parameters of a lambda; defaults are set on the function."""
        args = [ast.arg(name) for name in [first, *self.positional]]
        only = self.only + 1 if self.only else 0
        return ast.arguments(
            posonlyargs=args[:only], args=args[only:],
            vararg=ast.arg(self.rest) if self.rest else None,
            kwonlyargs=[ast.arg(name) for name in self.keywords],
            kw_defaults=[None for _ in self.keywords],
            kwarg=ast.arg(self.others) if self.others else None, defaults=[],
        )


def _load(name):
    return ast.Name(name, ast.Load())


# ---- compiling


class _Rewrite(ast.NodeTransformer):
    """Private names as in a class's body; args[1] as the parameter's name."""

    def __init__(self, cls_name, positional):
        self.cls_name = cls_name.lstrip("_")
        self.positional = positional

    def visit_Attribute(self, node):
        self.generic_visit(node)
        name = node.attr
        if name.startswith("__") and not name.endswith("__") and self.cls_name:
            node.attr = f"_{self.cls_name}{name}"
        return node

    def visit_Subscript(self, node):
        self.generic_visit(node)
        if (
            isinstance(node.value, ast.Name) and node.value.id == "args"
            and isinstance(node.ctx, ast.Load)
            and isinstance(node.slice, ast.Constant)
            and type(node.slice.value) is int
            and 0 <= node.slice.value < len(self.positional)
        ):
            return _load(self.positional[node.slice.value])
        return node


def _bound_names(tree):
    """Names that the expression itself gives a meaning."""
    found = {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)}
    return found | {
        node.id for node in ast.walk(tree)
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load)
    }


def _loaded_names(tree):
    return {
        node.id for node in ast.walk(tree)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)
    }


def _refuse(what, text, error):
    reason = getattr(error, "msg", None) or str(error)
    column = getattr(error, "offset", None)
    if column is not None:  # 0: the text ended too early
        column = column or len(text.strip()) + 1
        column += len(text) - len(text.lstrip())
        reason += f" at column {column}"
    raise _core.Error(
        f"{what}: the condition {text!r} is no Python expression: {reason}"
    ) from None


def _parse(text, what):
    try:
        tree = ast.parse(text.strip(), "<condition>", "eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        _refuse(what, text, error)
    for node in ast.walk(tree):
        if isinstance(node, (ast.Yield, ast.YieldFrom, ast.Await)):
            _refuse(what, text, SyntaxError(
                "it cannot wait", ("", 1, node.col_offset + 1, "")
            ))
    return tree


def _function(arguments, body, text, what, namespace):
    tree = ast.Expression(ast.Lambda(arguments, body))
    ast.fix_missing_locations(tree)
    try:
        code = compile(tree, f"<condition {text!r}>", "eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        _refuse(what, text, error)
    return eval(code, namespace)


def _renamed(name, value, body):
    """An expression in which a name means another expression."""
    arguments = ast.arguments(
        posonlyargs=[], args=[ast.arg(name)], vararg=None, kwonlyargs=[],
        kw_defaults=[], kwarg=None, defaults=[],
    )
    return ast.Call(ast.Lambda(arguments, body), [value], [])


def _self_only():
    return ast.arguments(
        posonlyargs=[], args=[ast.arg("self")], vararg=None, kwonlyargs=[],
        kw_defaults=[], kwarg=None, defaults=[],
    )


def _attribute_of_self(node):
    return (
        isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
        and node.value.id == "self"
    )


def _tag(tree, positional):
    """(attribute, parameter, swapped) of 'self.a == x', or None."""
    if not (
        isinstance(tree, ast.Compare) and len(tree.ops) == 1
        and isinstance(tree.ops[0], ast.Eq)
    ):
        return None
    left, right = tree.left, tree.comparators[0]
    swapped = not _attribute_of_self(left)
    if swapped:
        left, right = right, left
    if (
        isinstance(left, ast.Attribute) and _attribute_of_self(left)
        and isinstance(right, ast.Name)
        and right.id in positional
    ):
        return left.attr, positional.index(right.id), swapped
    return None


def compile_method(text, cls, name, function, bound):
    """The Condition of a method; 'bound': its first parameter is self."""
    what = f"{cls.__qualname__}.{name}()"
    params = _Params(function, bound)
    tree = _parse(text, what)
    namespace = params.globals
    if namespace is None:
        namespace = vars(sys.modules[cls.__module__])
    owner = getattr(function, "__qualname__", "").split(".")[-2:-1]
    positional = [] if "args" in _bound_names(tree) else params.positional
    if "args" in params.names:
        positional = []
    tree = _Rewrite(owner[0] if owner else "", positional).visit(tree)
    loaded = _loaded_names(tree)
    names = params.names
    if "args" not in names:
        if "args" in loaded:
            tree = _renamed("args", params.all_args(), tree)
        names = names | {"args"}
    if not loaded & names and params.first in ("self", ""):
        function = _function(_self_only(), tree, text, what, namespace)
        return _core.Condition(text, function, KIND_STATE)
    first = params.first or "self"
    if first in params.names:  # a static method with a parameter self
        first = "_chare_self"
    if first != "self" and "self" in loaded and "self" not in params.names:
        tree = _renamed("self", _load(first), tree)
    tag = _tag(tree, params.positional)
    function = _function(params.as_ast(first), tree, text, what, namespace)
    function.__defaults__ = params.defaults
    function.__kwdefaults__ = params.keyword_defaults
    if tag is not None:
        return _core.Condition(text, function, KIND_TAG, *tag)
    return _core.Condition(text, function, KIND_ARGS)


def compile_sent(text, subject):
    """The Condition of a call with when=; called by the extension."""
    cls, name, function, static = subject
    return compile_method(text, cls, name, function, not static)


def compile_wait(text, cls):
    """The Condition of self.wait(); called by the extension.

    An inherited method may mean the globals of its own module: the first
    module of the class and its bases that has all the names is taken.
    """
    what = f"{cls.__qualname__}: wait()"
    tree = _parse(text, what)
    free = _loaded_names(tree) - _bound_names(tree) - {"self"}
    spaces = [
        vars(sys.modules[base.__module__]) for base in cls.__mro__
        if base is not object and base is not _core.Chare
        and base.__module__ in sys.modules
    ]
    namespace = spaces[0]
    for space in spaces:
        if all(name in space or hasattr(builtins, name) for name in free):
            namespace = space
            break
    tree = _Rewrite(cls.__name__, []).visit(tree)
    function = _function(_self_only(), tree, text, what, namespace)
    return _core.Condition(text, function, KIND_STATE)
