"""Specs: the grammar by example, and every spec that can be written is read back."""

from __future__ import annotations

import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from vidseg.errors import UsageError
from vidseg.plugins.spec import Spec, Specs, parse, parse_several, split_specs, write
from vidseg.utils.yaml import read_yaml, scalar

NAMES = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,8}", fullmatch=True).filter(
    lambda name: type(scalar(name)) in (str, int)  # [true] and [1.5] are lists
)
KEYS = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,6}", fullmatch=True).filter(
    lambda key: key not in ("use", "value")
)
TEXTS = st.one_of(
    st.text(max_size=8),
    st.text(st.sampled_from("ab1.:,=[]{}'\"@#\\ \n-~0x"), max_size=8),
    st.sampled_from(["null", "true", "010", "1e3", ".inf", "C:\\data", "ray://h:1", "~", "é", "-"]),
)
SCALARS = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), TEXTS)


def specs(values: st.SearchStrategy) -> st.SearchStrategy:
    """Specs without lists of one scalar: such a list is written as the scalar."""

    def lonely(value):
        return isinstance(value, list) and len(value) == 1 and not isinstance(value[0], list | Spec)

    kept = values.filter(lambda value: not lonely(value))
    positional = st.one_of(st.none(), values.filter(lambda v: not isinstance(v, dict)))
    return st.builds(Spec, NAMES, positional, st.dictionaries(KEYS, kept, max_size=3))


VALUES = st.recursive(
    SCALARS, lambda inner: st.one_of(st.lists(inner, max_size=3), specs(inner)), max_leaves=6
)


@given(specs(VALUES))
@example(Spec("p", "a[0"))
@example(Spec("p", None, {"k": "two\nlines"}))
@example(Spec("p", None, {"k": [[1, 2], [3]]}))
@example(Spec("p", None, {"k": [Spec("20"), Spec("b", None, {"x": 1})]}))
@example(Spec("p", None, {"k": [-math.inf, 0.1]}))
@example(Spec("p", ["a:b", "c"]))
@example(Spec("p", Spec("20", "[")))
@example(Spec("p", [True]))
@example(Spec("p", None, {"k": []}))
def test_what_is_written_is_read_back(spec):
    text = str(spec)
    assert parse(text) == spec
    assert str(parse(text)) == text


DATASETS = specs(SCALARS).filter(lambda spec: len(spec.name) > 1 and spec.name[0].isalpha())


@given(st.lists(DATASETS, min_size=1, max_size=3))
@example([Spec("mot", "/take two: final"), Spec("masks", "a masks")])
def test_several_that_are_written_are_read_back(several):
    known = {spec.name for spec in several}
    assert parse_several(str(Specs(several)), known) == tuple(several)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("mot:A masks:B", ["mot:A", "masks:B"]),
        ("  mot:A,void=1\n synthetic ", ["mot:A,void=1", "synthetic"]),
        ("synthetic mot:A", ["synthetic", "mot:A"]),
        ("mot:'/my masks:A' masks:B", ["mot:'/my masks:A'", "masks:B"]),
        ("mot:A,base=[masks:C synthetic]", ["mot:A,base=[masks:C synthetic]"]),
        ("mot:/my videos/A", ["mot:/my videos/A"]),
        ("mot:/my videos", ["mot:/my videos"]),
        ("mot:/at 10:30 masks:C:\\data", ["mot:/at 10:30", "masks:C:\\data"]),
        ("mot:D:\\a b masks:B, void=3", ["mot:D:\\a b", "masks:B, void=3"]),
    ],
)
def test_text_is_split_where_a_further_spec_begins(text, parts):
    assert split_specs(text, {"mot", "masks", "synthetic"}) == parts


def test_several_may_be_a_list_of_any_forms():
    given = ["mot:A masks:B", {"use": "mot", "path": "/my mot:C"}]
    found = parse_several(given)
    assert [spec.name for spec in found] == ["mot", "masks", "mot"]
    assert found.name == "mot + masks"
    assert parse_several(found.mapping()) == found
    assert parse_several("mot:A").mapping() == {"use": "mot", "value": "A"}
    with pytest.raises(UsageError, match="the list is empty"):
        parse_several([])


@given(specs(VALUES))
def test_the_mapping_is_read_back(spec):
    assert parse(spec.mapping()) == spec


@given(st.one_of(st.text(), TEXTS.map("p:".__add__), TEXTS.map("p:k=".__add__)))
@example("p:k=" + "9" * 5000)
@example("0:A=[:]")
def test_any_text_is_a_spec_or_a_usage_error(text):
    try:
        spec = parse(text)
    except UsageError:
        return
    assert joined(parse(str(spec))) == joined(spec)


def joined(value):
    """A list of one scalar is written as that scalar: the plugin's signature makes it a list."""
    if isinstance(value, list):
        return [joined(one) for one in value]
    if not isinstance(value, Spec):
        return value
    params = {k: v[0] if lonely(v) else joined(v) for k, v in value.params.items()}
    return Spec(value.name, joined(value.positional), params)


def lonely(value):
    return isinstance(value, list) and len(value) == 1 and not isinstance(value[0], list | Spec)


@given(st.floats())
def test_floats_keep_every_bit(value):
    found = scalar(write(value))
    assert isinstance(found, float)
    assert math.copysign(1, found) == math.copysign(1, value) or math.isnan(value)
    assert found == value or (math.isnan(found) and math.isnan(value))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 0.001),
        ("010", 10),
        ("0o17", 15),
        ("0x1F", 31),
        ("+5", 5),
        ("1_000", "1_000"),
        (".5", 0.5),
        ("-.inf", -math.inf),
        ("yes", "yes"),
        ("true", True),
        ("~", None),
        ("", None),
        ("2024-01-01", "2024-01-01"),
        ("12:30", "12:30"),
        ("'010'", "010"),
        ('"a\\tb"', "a\tb"),
        ("a: b # c", "a: b # c"),
    ],
)
def test_scalars_are_those_of_yaml_1_2(text, value):
    found = scalar(text)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("successive:n=20", Spec("successive", None, {"n": 20})),
        (" successive : n=20 ", None),
        ("mot:C:\\data", Spec("mot", "C:\\data")),
        ("mot:/a/b=c", Spec("mot", "/a/b=c")),
        ("ray:address=ray://host:10001", Spec("ray", None, {"address": "ray://host:10001"})),
        ("svm:C=0.1,C=1", Spec("svm", None, {"C": [0.1, 1]})),
        ("svm:C=[0.1,1]", Spec("svm", None, {"C": [0.1, 1]})),
        ("20", Spec("20")),
        ("1by20:short=all", Spec("1by20", None, {"short": "all"})),
        ("noised:base=[1by20:short=all],copies=2", None),
        ("a:mask-size=9", Spec("a", None, {"mask_size": 9})),
        ("a:'x,y=]',k='it''s'", Spec("a", "x,y=]", {"k": "it's"})),
        ("a:it's", Spec("a", "it's")),
        ("a:frame[0].png", Spec("a", "frame[0].png")),
    ],
)
def test_the_grammar_by_example(text, spec):
    if text.startswith(" "):
        with pytest.raises(UsageError):
            parse(text)
    elif spec is None:
        base = Spec("1by20", None, {"short": "all"})
        assert parse(text) == Spec("noised", None, {"base": base, "copies": 2})
    else:
        assert parse(text) == spec


@pytest.mark.parametrize(
    ("given_", "part"),
    [
        ("", "does not begin with a name"),
        (":n=1", "does not begin with a name"),
        ("a b:n=1", "does not begin with a name"),
        ("a:", "ends after the colon"),
        ("a:n=1,2", "'2' has no key"),
        ("mot:/data/co,mma", "a path with a comma stands in quotes: mot:'/data/co,mma'"),
        ("a:n=1,,m=2", "empty item"),
        ("a:n=[1,2", "open or stray quote or bracket"),
        ("a:n=1]", "open or stray quote or bracket"),
        ("a:n='x", "open or stray quote or bracket"),
        ("a:n='x'y", "not well quoted"),
        ({"n": 1}, "has no 'use'"),
        ({"use": "a:n=1", "m": 2}, "more than a name"),
        (True, "is not a spec"),
        (1.5, "is not a spec"),
        (None, "is not a spec"),
    ],
)
def test_what_is_no_spec_says_why_in_one_line(given_, part):
    with pytest.raises(UsageError, match=r"^sampler") as caught:
        parse(given_, where="sampler")
    assert part in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_integer_of_yaml_is_a_name():
    assert parse(20) == parse({"use": 20}) == Spec("20")


def test_mappings_nest_also_in_lists():
    nested = {"use": "a", "base": [{"use": "b", "x": 1}, {"use": 20}]}
    expected = Spec("a", None, {"base": [Spec("b", None, {"x": 1}), Spec("20")]})
    assert parse(nested) == parse("a:base=[b:x=1],base=[20]") == expected


def test_a_file_holds_parameters_and_those_beside_it_win(tmp_path):
    file = tmp_path / "grid.yaml"
    file.write_text("C: [0.1, 1]\nclass-weight: null\nbase: {use: 20}\n")
    read = {"C": [0.1, 1], "class_weight": None, "base": Spec("20")}
    assert parse(f"svm:@{file}") == Spec("svm", None, read)
    assert parse(f"svm:@{file},C=9") == Spec("svm", None, {**read, "C": 9})
    base = tmp_path / "base.yaml"
    base.write_text("use: 1by20\nshort: all\n")
    inner = Spec("1by20", None, {"short": "all"})
    assert parse(f"noised:base=@{base}") == Spec("noised", None, {"base": inner})


def test_files_that_cannot_be_read_are_named(tmp_path):
    for content, place in (
        (b"a: [1\nb: 2\n", ":2:2"),
        (b"\xff\xfe", "not UTF-8"),
        (b"- 1\n", "mapping"),
    ):
        file = tmp_path / "bad.yaml"
        file.write_bytes(content)
        with pytest.raises(UsageError, match=r"bad\.yaml") as caught:
            parse(f"svm:@{file}", where="classifier")
        assert place in str(caught.value)
    for missing in (tmp_path / "none.yaml", tmp_path):
        with pytest.raises(UsageError, match="cannot read"):
            read_yaml(missing, where="--config")


def test_yaml_files_are_read_as_yaml_1_2(tmp_path):
    file = tmp_path / "a.yaml"
    file.write_text("a: 010\nb: yes\nc: 1e-3\nd: 0o10\ne: 12:30\n")
    assert read_yaml(file, where="x") == {"a": 10, "b": "yes", "c": 1e-3, "d": 8, "e": "12:30"}
