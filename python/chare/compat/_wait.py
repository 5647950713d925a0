# SPDX-License-Identifier: BSD-3-Clause
"""_wait.py - conditions of @when, sorted as Charm4py sorts them.

Nothing here evaluates conditions: chare's own @when does. Programs that look
at Charm4py's classes of conditions find them.
"""

import ast


class ChareStateCond:
    """A condition on the chare alone."""

    def __init__(self, cond_str, module_name=None):
        self.cond_str = cond_str
        self.module_name = module_name


class ChareStateMsgCond:
    """A condition on the chare and the arguments."""

    def __init__(self, cond_str, module_name=None):
        self.cond_str = cond_str
        self.module_name = module_name


class MsgTagCond:
    """An attribute of the chare that equals an argument."""

    def __init__(self, cond_str, attrib_name, arg_idx):
        self.cond_str = cond_str
        self.attrib_name = attrib_name
        self.arg_idx = arg_idx


def _attribute(node):
    """x of self.x, or None."""
    if (isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
            and node.value.id == "self"):
        return node.attr
    return None


def _argument(node, method_arguments):
    """The position of a parameter's name, or of args[i]; or None."""
    if isinstance(node, ast.Name):
        return method_arguments.get(node.id)
    if (isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name)
            and node.value.id == "args"
            and isinstance(node.slice, ast.Constant)):
        return node.slice.value
    return None


def parse_cond_str(cond_str, module_name, method_arguments=None):
    """The kind of condition that an expression is.

    ``method_arguments`` maps the names of parameters to positions. Raises
    SyntaxError when it is no expression.
    """
    arguments = method_arguments or {}
    body = ast.parse(cond_str.strip(), mode="eval").body
    if (isinstance(body, ast.Compare) and len(body.ops) == 1
            and isinstance(body.ops[0], ast.Eq)):
        sides = body.left, body.comparators[0]
        for one, other in (sides, sides[::-1]):
            attribute = _attribute(one)
            position = _argument(other, arguments)
            if attribute is not None and position is not None:
                return MsgTagCond(cond_str, attribute, position)
    names = {
        node.id for node in ast.walk(body) if isinstance(node, ast.Name)
    }
    if names & (set(arguments) | {"args"}):
        return ChareStateMsgCond(cond_str, module_name)
    return ChareStateCond(cond_str, module_name)


def old_when(when):
    """@when of version 0.9 too: the name of an attribute alone.

    The attribute is then compared with the first argument.
    """

    def decorate(cond_str):
        def decorator(function):
            condition = cond_str
            code = function.__code__
            if cond_str.isidentifier() and code.co_argcount > 1 and (
                cond_str not in code.co_varnames[: code.co_argcount]
            ):
                condition = f"self.{cond_str} == {code.co_varnames[1]}"
            return when(condition)(function)

        return decorator

    return decorate
