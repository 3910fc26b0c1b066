"""What is installed is the package, all of it, and nothing else."""

import zipfile

import pytest

from conftest import ROOT

wheels = pytest.importorskip("hatchling.builders.wheel", reason="hatchling is of the extra dev")


def test_the_wheel_holds_the_package_and_nothing_else(tmp_path):
    (built,) = wheels.WheelBuilder(str(ROOT)).build(directory=str(tmp_path), versions=["standard"])
    with zipfile.ZipFile(built) as wheel:
        names = {name for name in wheel.namelist() if ".dist-info/" not in name}
        (told,) = (name for name in wheel.namelist() if name.endswith("/METADATA"))
        metadata = wheel.read(told).decode()
    package = ROOT / "src" / "advnets"
    own = {p for p in package.rglob("*") if p.is_file() and "__pycache__" not in p.parts}
    assert names == {p.relative_to(ROOT / "src").as_posix() for p in own}
    assert {"advnets/py.typed", "advnets/studio/static/index.html"} <= names
    assert "Requires-Python: >=3.11" in metadata
    assert "Requires-Dist: torch>=2.6" in metadata
