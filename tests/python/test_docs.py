# SPDX-License-Identifier: BSD-3-Clause
"""Every public name says what it means, and the stubs name them all."""

import ast
import inspect
import os
import unittest

import tapunit

import chare

PACKAGE = os.path.dirname(os.path.abspath(chare.__file__))


def public_of(thing):
    """(name, object) of the public attributes of a class or instance."""
    for name in dir(thing):
        if not name.startswith("_"):
            yield name, getattr(thing, name)


class DocTest(unittest.TestCase):
    def test_public_names_exist_and_are_documented(self):
        self.assertTrue(inspect.getdoc(chare))
        for name in chare.__all__:
            with self.subTest(name=name):
                self.assertTrue(inspect.getdoc(getattr(chare, name)))

    def test_methods_are_documented(self):
        for thing in (chare.Chare, chare.Future, chare.Group, chare.Array,
                      chare.Reducer, type(chare.charm),
                      chare._core.Proxy):
            for name, value in public_of(thing):
                with self.subTest(name=f"{thing}.{name}"):
                    self.assertTrue(inspect.getdoc(value))

    def test_signatures_of_c_methods(self):
        for thing in (chare.Chare, chare.Future, chare.Chare.reduce,
                      chare.Chare.allreduce, chare.Future.get,
                      chare.Future.send):
            with self.subTest(name=str(thing)):
                self.assertTrue(inspect.signature(thing))

    def test_stubs_name_what_the_extension_has(self):
        with open(os.path.join(PACKAGE, "_core.pyi"), encoding="utf-8") as file:
            tree = ast.parse(file.read())
        names = {
            node.name for node in tree.body
            if isinstance(node, (ast.ClassDef, ast.FunctionDef))
        }
        has = {name for name in dir(chare._core)
               if not name.startswith("__")}
        self.assertEqual(names, has)

    def test_stubs_name_what_the_package_has(self):
        with open(os.path.join(PACKAGE, "__init__.pyi"),
                  encoding="utf-8") as file:
            tree = ast.parse(file.read())
        classes = {
            node.name: {item.name for item in node.body
                        if isinstance(item, ast.FunctionDef)}
            for node in tree.body if isinstance(node, ast.ClassDef)
        }
        has = {name for name, value in public_of(type(chare.charm))
               if inspect.isfunction(value)}
        self.assertEqual(
            {name for name in classes["Charm"] if name != "__init__"}, has)
        named = ast.unparse(tree)
        for name in chare.__all__:
            self.assertIn(name, named)

    def test_the_package_says_that_it_is_typed(self):
        self.assertTrue(os.path.exists(os.path.join(PACKAGE, "py.typed")))


if __name__ == "__main__":
    tapunit.main()
