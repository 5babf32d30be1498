"""What the plugin changes in fairseq is applied on import, and listed where a reader looks first."""

import ast
import inspect
import re

from fairseq_dsl import patches


def test_the_table_of_contents_is_what_is_applied():
    calls = [node.value for node in ast.parse(inspect.getsource(patches)).body[1:] if isinstance(node, ast.Expr)]
    applied = [f"{call.func.value.id}.{call.func.attr}" for call in calls]
    listed = re.findall(r"^    `([\w.]+)` ", patches.__doc__, re.MULTILINE)
    assert applied == listed and len(listed) > 10
