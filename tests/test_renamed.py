"""Old import paths work, and say the new one; the short ones are silent."""

import importlib
import sys

import pytest

import advnets
from advnets.base.renamed import RENAMED


@pytest.mark.parametrize(("old", "new"), RENAMED.items())
def test_an_old_path_gives_the_module_of_today_and_says_where_it_is(old, new, monkeypatch):
    monkeypatch.delitem(sys.modules, old, raising=False)
    if old.startswith("advnets.baselines."):
        monkeypatch.setitem(
            sys.modules, "advnets.baselines", importlib.import_module(RENAMED["advnets.baselines"])
        )
    with pytest.warns(FutureWarning, match=rf"{old} is now {new}\."):
        found = importlib.import_module(old)
    own = importlib.import_module(new)
    assert found is own
    assert own.__spec__.name == own.__name__  # and stays what it was


def test_every_exception_is_in_advnets_errors():
    from advnets.errors import BadFile, UserError

    assert advnets.errors.UserError is UserError
    assert issubclass(BadFile, UserError)


def test_what_has_no_name_is_not_found():
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("advnets.nothing")
