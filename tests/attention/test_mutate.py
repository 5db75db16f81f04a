"""The mutation run itself takes minutes and is run by hand; here is what about it can be checked at once."""

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

SPECIFICATION = spec_from_file_location("mutate", Path(__file__).with_name("mutate.py"))
mutate = module_from_spec(SPECIFICATION)
SPECIFICATION.loader.exec_module(mutate)

NOT_MUTATED = {
    "__init__.py": "names only",
    "kernels/__init__.py": "names only",
    "kernels/triton_additive.py": "runs in a process of its own",
}


def test_what_is_said_to_change_nothing_is_still_there():
    """Each line of the list stands for one mutant, and is deleted with the code that it speaks of."""
    names = [mutant.name for file in mutate.OWN_TESTS for mutant in mutate.mutants(mutate.SOURCE / file)]
    assert len(names) == len(set(names))
    assert mutate.EQUIVALENT.keys() - set(names) == set()


def test_every_file_is_mutated_or_it_is_said_why_not():
    assert {
        path.relative_to(mutate.SOURCE).as_posix() for path in mutate.SOURCE.rglob("*.py")
    } == mutate.OWN_TESTS.keys() | NOT_MUTATED.keys()
    assert all((mutate.TESTS / test).is_file() for tests in mutate.OWN_TESTS.values() for test in tests)


def test_a_mutant_differs_from_its_source_in_what_it_says():
    condition = "if self.shared_by > 1:"
    source = (mutate.SOURCE / "memory.py").read_text(encoding="utf-8")
    assert condition in source
    changed = [mutant for mutant in mutate.mutants(mutate.SOURCE / "memory.py") if mutant.code == condition]
    assert [mutant.change for mutant in changed] == ["Gt -> LtE", "Gt -> GtE", "1 -> 2"]
    assert "if self.shared_by <= 1:" in changed[0].source()
    assert "if self.sharable:" in changed[0].source()
