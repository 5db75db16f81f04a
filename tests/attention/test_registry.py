"""A setting names a kind with its options; the class of the kind checks them; equal kinds have one canonical text."""

import inspect
import os
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import pytest
import torch

from attentio.attention import AXES, NORMALIZERS, SCORES, WINDOWS, Attention, KindError, Score, allow_kinds
from attentio.attention.kind import About
from attentio.attention.registry import ALLOWED, Axis, Choice, find


@pytest.mark.parametrize(
    ("setting", "canonical", "options"),
    [
        ("local-p", "local-p", {}),
        ("local-p:10", "local-p", {}),
        ("local-p:3", "local-p:3", {"radius": 3}),
        ("local-p:radius=3", "local-p:3", {"radius": 3}),
        (" local-p : 3 , renormalize = True", "local-p:3,renormalize=true", {"radius": 3, "renormalize": True}),
        ("local-p:3,true", "local-p:3,renormalize=true", {"radius": 3, "renormalize": True}),
        ("local-p:renormalize=true,radius=3", "local-p:3,renormalize=true", {"radius": 3, "renormalize": True}),
        ("local-p:renormalize=false", "local-p", {}),
        ("local-p-renormalized", "local-p:renormalize=true", {"renormalize": True}),
        ("local-p-renormalized:3", "local-p:3,renormalize=true", {"radius": 3, "renormalize": True}),
        ({"kind": "local-p", "radius": 3}, "local-p:3", {"radius": 3}),
        ({"kind": "local-p:3", "renormalize": True}, "local-p:3,renormalize=true", {"radius": 3, "renormalize": True}),
        ("cosine:20", "cosine:20", {"temperature": 20.0}),
        ({"kind": "cosine", "temperature": 20}, "cosine:20", {"temperature": 20.0}),
        ("entmax:1.7", "entmax:1.7", {"alpha": 1.7}),
        ("additive:64", "additive:64", {"hidden_size": 64}),
        ("location_aware:channels=4,width=7", "location_aware:width=7,channels=4", {"width": 7, "channels": 4}),
        ("monotonic:bias=-2.5", "monotonic:bias=-2.5", {"bias": -2.5}),
    ],
    ids=str,
)
def test_a_kind_with_options_has_one_canonical_text(setting, canonical, options):
    named = setting["kind"] if isinstance(setting, dict) else setting
    axis, _ = find(named)
    choice = axis.choose(setting)
    assert str(choice) == canonical
    assert {name: (type(value), value) for name, value in choice.options.items()} == {
        name: (type(value), value) for name, value in options.items()
    }
    assert str(axis.choose(canonical)) == canonical
    assert find(canonical)[1] == choice


@pytest.mark.parametrize(
    ("axis", "setting", "message"),
    [
        ("window", "local_p", "there is no kind 'local_p'. Did you mean 'local-p'?"),
        ("score", "zzz", "there is no kind 'zzz'. Known: dot, scaled_dot, "),
        ("score", "softmax", "'softmax' is a kind of `normalize`, not of `score`. Known: dot, "),
        ("score", "", "there is no kind ''. Known: dot, "),
        ("window", "local-p:radios=3", "local-p has no option 'radios'. Its options: radius, renormalize."),
        ("window", "local-p:3,true,4", "local-p has no option '4'. Its options: radius, renormalize."),
        ("score", "dot:3", "dot has no option '3'. It has no options."),
        ("window", "local-p:wide", "local-p: radius must be an integer, not 'wide'"),
        ("window", "local-p:2.5", "local-p: radius must be an integer, not '2.5'"),
        ("window", {"kind": "local-p", "radius": True}, "local-p: radius must be an integer, not True"),
        ("window", "local-p:renormalize=1", "local-p: renormalize must be true or false, not '1'"),
        ("normalize", "entmax:nan", "entmax: alpha must be a number, not 'nan'"),
        ("window", "local-p:3,radius=4", "local-p is given its option radius twice"),
        ("window", {"kind": "local-p:3", "radius": 4}, "local-p is given its option radius twice"),
        ("window", {"radius": 4}, "write the kind as "),
        ("window", 3, "write the kind as "),
        ("window", "local-p:0", "local-p: radius 0 must be at least 1"),
        ("window", "sliding:-1", "sliding: radius -1 must be at least 0"),
        ("window", "local-m:-1", "local-m: radius -1 must be at least 0"),
        ("window", "relative:-1", "relative: max_distance -1 must be at least 0"),
        ("normalize", "entmax:1", "entmax: alpha 1.0 must be above 1"),
        ("normalize", "mocha:0", "mocha: width 0 must be at least 1"),
        ("normalize", "monotonic:-1", "monotonic: noise -1.0 must be at least 0"),
        ("normalize", "hard_straight_through:0", "hard_straight_through: temperature 0.0 must be above 0"),
        ("score", "cosine:101", "cosine: temperature 101.0 must lie above 0"),
        ("score", "additive:0", "additive: hidden_size 0 must be at least 1"),
        ("score", "location:0", "location: max_length 0 must be at least 1"),
        ("score", "location_aware:width=4", "location_aware: width 4 of the filters must be odd"),
        ("score", "location_aware:width=-1", "location_aware: width -1 must be at least 1"),
        ("score", "location_aware:channels=0", "location_aware: channels 0 must be at least 1"),
        ("score", "fertility_coverage:max_fertility=-1", "fertility_coverage: max_fertility -1.0 must be at least 0"),
    ],
    ids=str,
)
def test_what_is_not_possible_is_refused_in_one_line(axis, setting, message):
    with pytest.raises(KindError) as refused:
        AXES[axis].choose(setting)
    assert str(refused.value).startswith(message)
    assert "\n" not in str(refused.value)


def test_an_option_says_its_name_default_and_meaning():
    assert str(WINDOWS["sliding"].options()["radius"]) == "radius = 10 (int): keys seen on each side of the center"
    assert str(SCORES["additive"].options()["hidden_size"]).startswith("hidden_size (int): size of the hidden layer")


@pytest.mark.parametrize("setting", ["local-p:1", "sliding:0", "relative:0", "mocha:1", "monotonic:0", "additive:1"])
def test_the_least_value_is_possible(setting):
    assert str(find(setting)[1]) == setting


def test_options_act_in_an_attention():
    attention = Attention(8, 8, score="cosine:20", normalize="entmax:1.7", window="local-p:3,renormalize=true")
    assert attention.score.log_temperature.exp().item() == pytest.approx(20)
    assert attention.normalize.alpha == 1.7
    assert (attention.window.radius, attention.window.renormalize) == (3, True)


def test_reading_options_draws_no_random_numbers():
    torch.manual_seed(7)
    expected = torch.randn(3)
    torch.manual_seed(7)
    SCORES.choose("additive:64")
    assert torch.equal(torch.randn(3), expected)


@pytest.mark.parametrize(("axis", "name"), [(axis, name) for axis, kinds in AXES.items() for name in kinds])
def test_every_kind_says_all_of_itself(axis, name):
    kind = AXES[axis][name]
    assert issubclass(kind, AXES[axis].bases)
    assert all(vars(kind.about).values())
    assert kind.about.name == name
    for option in kind.options().values():
        assert option.meaning, option
        assert f"{option.name}" in str(option)
    constructor = inspect.signature(kind.__init__).parameters
    sizes = {"self", "query_size", "key_size", "num_heads", "args", "kwargs"}
    assert set(constructor) - sizes == set(kind.options())


def test_names_are_unique_over_all_axes():
    names = [name for kinds in AXES.values() for name in kinds]
    assert len(names) == len(set(names)) > 20


class Power(Score):
    about = About(**dict.fromkeys(About.__dataclass_fields__, "x") | {"name": "power"})

    def __init__(
        self,
        query_size,
        key_size,
        num_heads,
        *,
        power: Annotated[float, "of the product"],
        label="a",
        sizes: list[int] = (),
    ):
        super().__init__()
        self.power, self.label, self.sizes = power, label, sizes  # a list cannot be written in a setting

    def prepare(self, keys):
        return keys

    def forward(self, query, keys):
        return (query @ keys.mT).relu() ** self.power


def test_a_module_with_a_new_class_is_all_that_a_registry_needs():
    scores = Axis("score", Score, sys.modules[__name__])
    assert dict(scores) == {"power": Power}
    assert scores.choose("power:2,label=b") == Choice("power", Power, {"power": 2.0, "label": "b"})
    assert [str(option) for option in Power.options().values()] == ["power (float): of the product", "label = a (str)"]
    assert [option.as_dict()["default"] for option in Power.options().values()] == [None, "a"]
    with pytest.raises(KindError, match="power needs its option power"):
        scores.choose("power")
    with pytest.raises(KindError, match="must not contain a comma"):
        scores.choose({"kind": "power", "power": 2, "label": "b,c"})


@pytest.fixture
def own_module(tmp_path, monkeypatch):
    (tmp_path / "kind_of_mine.py").write_text(
        "import pathlib\n"
        "from attentio.attention import RowNormalizer, Score\n"
        "from attentio.attention.score import Dot\n"
        "pathlib.Path('imported').touch()\n"
        "class Negative(Dot):\n"
        "    def __init__(self, query_size, key_size, num_heads, *, factor: float = 1.0):\n"
        "        super().__init__(query_size, key_size, num_heads)\n"
        "        if factor == 0:\n"
        "            raise ValueError('factor must not be 0')\n"
        "        self.factor = factor\n"
        "    def project(self, query):\n"
        "        return -self.factor * query\n"
        "class Unfinished(Score):\n"
        "    pass\n"
    )
    (tmp_path / "broken_kind.py").write_text("1 / 0\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(ALLOWED, raising=False)
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path not in ("", str(tmp_path))])
    yield tmp_path
    for name in ("kind_of_mine", "broken_kind"):
        sys.modules.pop(name, None)
    os.environ.pop(ALLOWED, None)


@pytest.mark.usefixtures("own_module")
def test_a_class_of_ones_own_is_named_by_its_import_path():
    choice = SCORES.choose("kind_of_mine:Negative:2", trusted=True)
    assert str(choice) == "kind_of_mine:Negative:2"
    with pytest.raises(KindError, match="ZeroDivisionError"):
        SCORES.choose("broken_kind:My", trusted=True)
    assert sys.path.count(str(Path.cwd())) == 1
    assert str(SCORES.choose("kind_of_mine:Negative:factor=1")) == "kind_of_mine:Negative"
    attention = Attention(4, 4, score="kind_of_mine:Negative:2")
    assert attention.score.factor == 2
    with pytest.raises(KindError, match="kind_of_mine:Negative: factor must not be 0"):
        SCORES.choose("kind_of_mine:Negative:0")
    for wrong in ("kind_of_mine:Unfinished", "kind_of_mine:Missing", "kind_of_mine:pathlib"):
        with pytest.raises(KindError, match=r"is not a class that extends attentio\.attention\.Score"):
            SCORES.choose(wrong)
    with pytest.raises(KindError, match=r"is not a class that extends attentio\.attention\.Window"):
        WINDOWS.choose("kind_of_mine:Negative")
    axis, found = find("kind_of_mine:Negative:3")
    assert (axis, found.options) == (SCORES, {"factor": 3.0})
    with pytest.raises(KindError, match=r"extends attentio\.attention\.Score or Normalizer or Window"):
        find("kind_of_mine:pathlib")


def test_no_module_is_imported_without_consent(own_module):
    with pytest.raises(KindError, match="may be imported only with your consent") as refused:
        SCORES.choose("kind_of_mine:Negative")
    assert "--allow-kinds kind_of_mine" in refused.value.hint
    with pytest.raises(KindError, match="only with your consent"):
        Attention(4, 4, score="kind_of_mine:Negative")
    with pytest.raises(KindError, match="only with your consent"):
        find("kind_of_mine:Negative")
    assert not (own_module / "imported").exists()
    assert "kind_of_mine" not in sys.modules
    allow_kinds("another", "kind_of_mine")
    assert os.environ[ALLOWED] == "another,kind_of_mine"
    assert SCORES.choose("kind_of_mine:Negative").options == {}
    assert (own_module / "imported").exists()


@pytest.mark.slow
@pytest.mark.usefixtures("own_module")
def test_consent_reaches_the_processes_that_are_started():
    SCORES.choose("kind_of_mine:Negative", trusted=True)
    program = "from attentio.attention import SCORES; print(SCORES.choose('kind_of_mine:Negative').kind.__name__)"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout == "Negative\n"


@pytest.mark.usefixtures("own_module")
def test_a_module_that_is_missing_or_broken_is_named():
    with pytest.raises(KindError, match=r"cannot import 'no_such:My': there is no module 'no_such'.") as refused:
        SCORES.choose("no_such:My", trusted=True)
    assert "no_such.py" in refused.value.hint
    with pytest.raises(KindError, match="cannot import 'broken_kind:My': ZeroDivisionError"):
        NORMALIZERS.choose("broken_kind:My", trusted=True)
