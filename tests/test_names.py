"""Every name that is used is defined: linters cannot tell, since the shapes in annotations look like names to them."""

import ast
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


class WithoutAnnotations(ast.NodeTransformer):
    def visit_arg(self, node: ast.arg) -> ast.arg:
        node.annotation = None
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.returns = None
        return self.generic_visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        node.annotation = ast.Constant(0)
        return self.generic_visit(node)

    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
        """Leave out shapes, as in ``Float[np.ndarray, "height width"]``."""
        parts = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        if len(parts) == 2 and isinstance(parts[1], ast.Constant) and isinstance(parts[1].value, str):
            return node.value
        return self.generic_visit(node)


def test_every_name_is_defined(tmp_path: Path):
    for folder in ("src", "tests", "docs", "envs"):
        for path in (ROOT / folder).rglob("*.py"):
            copy = tmp_path / path.relative_to(ROOT)
            copy.parent.mkdir(parents=True, exist_ok=True)
            tree = WithoutAnnotations().visit(ast.parse(path.read_text(encoding="utf-8")))
            copy.write_text(ast.unparse(ast.fix_missing_locations(tree)), encoding="utf-8")
    ruff = [str(Path(sys.executable).with_name("ruff")), "check", "--isolated", "--select", "F821", "--no-cache"]
    found = subprocess.run([*ruff, "--output-format", "concise", str(tmp_path)], capture_output=True, text=True)
    assert found.returncode == 0, found.stdout
