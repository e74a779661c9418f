"""Keeps the files of the chosen kind, and removes what wasn't asked for."""

import shutil
from pathlib import Path

KIND = "{{ cookiecutter.kind }}"
MODULE = "{{ cookiecutter.__module }}"

chosen = Path("kinds") / KIND
for path in sorted(chosen.glob("*.py")):
    shutil.move(path, Path("src") / MODULE / path.name)
shutil.copytree(chosen / "tests", "tests", dirs_exist_ok=True)
shutil.rmtree("kinds")
if "{{ cookiecutter.ci }}" == "no":
    shutil.rmtree(".github")
for compiled in list(Path().rglob("__pycache__")):  # an installer compiled the template
    shutil.rmtree(compiled)
