"""Every third-party package that the source imports is declared: nothing comes along by luck."""

from __future__ import annotations

import re
import sys
import tomllib

from tests.contracts.source import ROOT, imported_names, source_files

PACKAGE_OF_MODULE = {
    "ai_edge_litert": "ai-edge-litert",
    "arro3": "arro3-io",  # and `arro3-core`, which it needs
    "cv2": "opencv-python-headless",
    "fontTools": "fonttools",
    "jaxlib": "jax",
    "markdown_it": "markdown-it-py",
    "prometheus_client": "prometheus-client",
    "python_multipart": "python-multipart",
    "PIL": "pillow",
    "sklearn": "scikit-learn",
    "tensorboardX": "tensorboardx",
    "mlflow": "mlflow-skinny",
}

BROUGHT_BY_USERS = ("tensorflow", "google", "pyarrow")
"""What is imported where it is installed, or with data of its kind, and said to be missing elsewhere: in no extra."""


def test_every_imported_package_is_a_declared_dependency() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = [requirement for extra in project["optional-dependencies"].values() for requirement in extra]
    declared = project["dependencies"] + extras
    known = {re.split(r"[^A-Za-z0-9_.-]", requirement, maxsplit=1)[0] for requirement in declared}
    for path in source_files():
        for line, name in imported_names(path):
            module = name.split(".")[0]
            if module not in sys.stdlib_module_names and module not in ("fittingroom", *BROUGHT_BY_USERS):
                assert PACKAGE_OF_MODULE.get(module, module) in known, f"{path}:{line} imports {module}"
