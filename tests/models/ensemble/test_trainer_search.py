"""nnU-Net finds our trainer also where loaded modules import others as soon as they are looked at."""

import sys
from types import ModuleType

import pytest
from nnunetv2.utilities.find_class_by_name import temporarily_cleanup_imports_from_path

from models.ensemble.train import load_lazy_modules

IMPORTED = "imported_by_the_lazy_one"


class Lazy(ModuleType):
    def __getattr__(self, name):
        sys.modules.setdefault(IMPORTED, ModuleType(IMPORTED))
        raise AttributeError(name)


@pytest.fixture
def lazy(monkeypatch):
    load_lazy_modules()
    monkeypatch.setitem(sys.modules, "lazy", Lazy("lazy"))
    yield
    sys.modules.pop(IMPORTED, None)


@pytest.mark.usefixtures("lazy")
def test_the_search_fails_over_a_module_that_imports_another_when_it_is_looked_at(tmp_path):
    """nnU-Net 2.8.1 does; when this fails, load_lazy_modules has done its work and can go."""
    with (
        pytest.raises(RuntimeError, match="changed size"),
        temporarily_cleanup_imports_from_path(str(tmp_path)),
    ):
        pass


@pytest.mark.usefixtures("lazy")
def test_once_all_modules_were_looked_at_the_search_succeeds(tmp_path):
    load_lazy_modules()
    with temporarily_cleanup_imports_from_path(str(tmp_path)):
        assert IMPORTED in sys.modules
