"""What a trace keeps, refuses, merges and writes."""

import json
import math
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from attentio.errors import DataError, ResourceError, UsageError
from attentio.trace import AttentionTrace


def tiny_trace(**changes: object) -> AttentionTrace:
    """`ab c` -> `猫好`: pieces a, b, c, end against the two characters and end; two layers of 2 and 3 heads."""
    random = np.random.default_rng(3)
    fields: dict[str, object] = {
        "source": "ab c",
        "target": "猫好",
        "source_tokens": ("▁a", "b", "▁c", "</s>"),
        "target_tokens": ("猫", "好", "</s>"),
        "source_spans": ((0, 1), (1, 2), (2, 4), (4, 4)),
        "target_spans": ((0, 1), (1, 2), (2, 2)),
        "weights": {
            "first": random.dirichlet(np.ones(4), size=(2, 3)),
            "second": random.dirichlet(np.ones(4), size=(3, 3)),
        },
        "token_log_probs": np.log([0.5, 0.25, 0.125]),
        "candidates": ((("猫", 0.5), ("狗", 0.3)), (("好", 0.25),), (("吗", 0.6), ("</s>", 0.125))),
        "score": -1.5,
    }
    return AttentionTrace(**(fields | changes))


def with_self_attention() -> AttentionTrace:
    """The tiny trace, and a self-attention on either side."""
    random = np.random.default_rng(5)
    back = np.zeros((2, 3, 4))
    for row in range(3):
        back[:, row, : row + 1] = random.dirichlet(np.ones(row + 1), size=2)
    return tiny_trace(
        encoder_self={"encoder self 1": random.dirichlet(np.ones(4), size=(2, 4))},
        decoder_self={"decoder self 1": back},
    )


KINDS = ("weights", "encoder_self", "decoder_self")


def same_layers(left: Mapping[str, NDArray[Any]], right: Mapping[str, NDArray[Any]]) -> bool:
    return list(left) == list(right) and all(np.array_equal(left[layer], right[layer]) for layer in left)


def same(left: AttentionTrace, right: AttentionTrace) -> bool:
    texts = ("source", "target", "source_tokens", "target_tokens", "source_spans", "target_spans")
    return (
        all(getattr(left, name) == getattr(right, name) for name in texts)
        and list(left.weights) == list(right.weights)
        and all(
            getattr(left, kind).keys() == getattr(right, kind).keys()
            and all(
                np.array_equal(getattr(left, kind)[layer], getattr(right, kind)[layer]) for layer in getattr(left, kind)
            )
            for kind in ("weights", "encoder_self", "decoder_self")
        )
        and np.array_equal(left.token_log_probs, right.token_log_probs)
        and (left.candidates, left.score) == (right.candidates, right.score)
    )


PUBLISHED = json.loads((Path(__file__).parents[1] / "docs" / "trace.schema.json").read_text(encoding="utf-8"))


class TestSelfAttention:
    def test_it_is_beside_the_layers_that_look_at_the_source(self) -> None:
        trace = with_self_attention()
        assert trace.layers == ("first", "second")
        np.testing.assert_array_equal(trace.matrix(), tiny_trace().matrix())
        assert trace.matrix("encoder self 1").shape == (4, 4)
        assert trace.matrix("decoder self 1", 1).tolist() == trace.decoder_self["decoder self 1"][1].tolist()

    def test_shapes_are_checked(self) -> None:
        for kind, shape in (("encoder_self", (1, 4, 3)), ("decoder_self", (1, 3, 3))):
            with pytest.raises(ValueError, match=r"have shape .*, expected"):
                tiny_trace(**{kind: {"it": np.zeros(shape)}})

    def test_words_by_hand(self) -> None:
        """`ab c`: a and b are one word, the end is none. The target's two characters are words."""
        trace = with_self_attention()
        words = trace.words()
        source, target = trace.encoder_self["encoder self 1"], trace.decoder_self["decoder self 1"]
        merged = words.encoder_self["encoder self 1"]
        assert merged.shape == (2, 2, 2)
        np.testing.assert_allclose(merged[:, 0, 0], source[:, :2, :2].sum(-1).mean(-1), rtol=1e-6)
        np.testing.assert_allclose(merged[:, 1, 0], source[:, 2, :2].sum(-1), rtol=1e-6)
        np.testing.assert_allclose(words.decoder_self["decoder self 1"], target[:, :2, :3], rtol=1e-6)

    @pytest.mark.parametrize("ending", ["json", "npz"])
    def test_it_is_kept_in_files(self, tmp_path: Path, ending: str) -> None:
        trace = with_self_attention()
        for each in (trace, trace.words()):
            each.save(tmp_path / f"trace.{ending}")
            assert same(AttentionTrace.load(tmp_path / f"trace.{ending}"), each)

    def test_files_of_the_first_schema_are_read(self, tmp_path: Path) -> None:
        trace = tiny_trace()
        trace.save(tmp_path / "new.json")
        fields = json.loads((tmp_path / "new.json").read_text(encoding="utf-8"))
        second = fields | {"schema": 2}
        del second["candidates"], second["score"]
        (tmp_path / "second.json").write_text(json.dumps(second), encoding="utf-8")
        fields = {name: value for name, value in second.items() if not name.endswith("_self")} | {"schema": 1}
        (tmp_path / "old.json").write_text(json.dumps(fields), encoding="utf-8")
        weights = {f"weights_{place}": array for place, array in enumerate(trace.weights.values())}
        del fields["weights"], fields["token_log_probs"]
        text = json.dumps(fields | {"layers": list(trace.weights)}).encode()
        np.savez(
            tmp_path / "old.npz",
            text=np.frombuffer(text, dtype=np.uint8),
            token_log_probs=trace.token_log_probs,
            **weights,  # type: ignore[arg-type]
        )
        trace = tiny_trace(candidates=(), score=None)
        for name in ("second.json", "old.json", "old.npz"):
            assert same(AttentionTrace.load(tmp_path / name), trace)


class TestTrace:
    def test_matrix_is_one_head_or_the_mean_of_heads(self) -> None:
        trace = tiny_trace()
        weights = trace.weights["second"]
        assert trace.matrix("second", 2).tolist() == weights[2].tolist()
        assert trace.matrix("last", 2).tolist() == weights[2].tolist()
        np.testing.assert_allclose(trace.matrix("second"), (weights[0] + weights[1] + weights[2]) / 3, rtol=1e-6)

    def test_mean_over_layers_gives_each_layer_the_same_voice(self) -> None:
        ones = np.zeros((1, 1, 2))
        ones[..., 0] = 1
        others = np.zeros((3, 1, 2))
        others[..., 1] = 1
        trace = AttentionTrace(
            "ab", "c", ("a", "b"), ("c",), ((0, 1), (1, 2)), ((0, 1),), {"x": ones, "y": others}, [0]
        )
        assert trace.matrix().tolist() == [[0.5, 0.5]]

    @pytest.mark.parametrize(("layer", "head"), [("third", None), ("first", 2), ("second", -1), (None, 2)])
    def test_absent_layer_or_head_is_the_users_mistake(self, layer: str | None, head: int | None) -> None:
        with pytest.raises(UsageError, match=r"no layer|no head"):
            tiny_trace().matrix(layer, head)

    def test_arrays_cannot_be_changed_from_outside(self) -> None:
        given_weights = np.full((1, 3, 4), 0.25, dtype=np.float32)
        trace = tiny_trace(weights={"only": given_weights})
        given_weights[:] = 9
        assert trace.matrix().max() == 0.25
        with pytest.raises(ValueError, match="read-only"):
            trace.weights["only"][0, 0, 0] = 1

    @pytest.mark.parametrize(
        ("changes", "reason"),
        [
            ({"weights": {"a": np.ones((2, 4, 3))}}, r"expected \(heads, 3, 4\)"),
            ({"weights": {"a": np.ones((3, 4))}}, r"expected \(heads, 3, 4\)"),
            ({"weights": {"a": np.ones((0, 3, 4))}}, r"expected \(heads, 3, 4\)"),
            ({"weights": {}}, "at least one layer"),
            ({"weights": {"a": np.full((1, 3, 4), np.nan)}}, "finite and not negative"),
            ({"weights": {"a": np.full((1, 3, 4), -0.1)}}, "finite and not negative"),
            ({"token_log_probs": np.zeros(2)}, r"expected \(3,\)"),
            ({"token_log_probs": np.array([0.0, -np.inf, 0.0])}, "not finite"),
            ({"source_spans": ((0, 1), (1, 2), (2, 4))}, "4 source tokens have 3 spans"),
            ({"target_spans": ((0, 1), (1, 3), (2, 2))}, "outside a text of 2"),
            ({"target_spans": ((0, 1), (2, 1), (2, 2))}, "outside a text of 2"),
        ],
    )
    def test_what_contradicts_itself_is_refused(self, changes: dict[str, object], reason: str) -> None:
        with pytest.raises(ValueError, match=reason):
            tiny_trace(**changes)


class TestMerging:
    def test_sum_over_source_pieces_and_mean_over_target_pieces(self) -> None:
        # Source "don't go" in pieces do|n't|▁go|end; target "aller vite" in pieces al|ler|▁vite|end.
        weights = np.array([[[0.1, 0.2, 0.3, 0.4], [0.5, 0.1, 0.2, 0.2], [0.0, 0.1, 0.8, 0.1], [0.0, 0.0, 0.0, 1.0]]])
        trace = AttentionTrace(
            "don't go",
            "aller vite",
            ("▁do", "n't", "▁go", "</s>"),
            ("▁al", "ler", "▁vite", "</s>"),
            ((0, 2), (2, 5), (5, 8), (8, 8)),
            ((0, 2), (2, 5), (5, 10), (10, 10)),
            {"cross": weights},
            np.array([-1.0, -2.0, -4.0, -8.0]),
        )
        words = trace.words()
        assert words.source_tokens == ("don't", "go")
        assert words.target_tokens == ("aller", "vite")
        # aller -> don't: mean of 0.1 + 0.2 and 0.5 + 0.1; aller -> go: mean of 0.3 and 0.2.
        np.testing.assert_allclose(words.matrix(), [[0.45, 0.25], [0.1, 0.8]], rtol=1e-6)
        # What went to end-of-sentence is missing from the rows: 0.3 (the mean of 0.4 and 0.2) and 0.1.
        np.testing.assert_allclose(1 - words.matrix().sum(axis=1), [0.3, 0.1], atol=1e-6)
        assert words.token_log_probs.tolist() == [-3.0, -4.0]

    def test_a_piece_over_two_words_is_shared_by_its_characters(self) -> None:
        # One source piece 我喜欢 over the words 我 and 喜欢; the single target piece reaches over two words as well.
        trace = AttentionTrace(
            "我喜欢猫",
            "I like",
            ("我喜欢", "猫"),
            ("I like",),
            ((0, 3), (3, 4)),
            ((0, 6),),
            {"a": [[[0.6, 0.4]]]},
            [-1.0],
        )
        merged = trace.merged([(0, 1), (1, 3), (3, 4)], [(0, 1), (2, 6)])
        np.testing.assert_allclose(merged.matrix(), [[0.2, 0.4, 0.4]] * 2, rtol=1e-6)
        np.testing.assert_allclose(merged.token_log_probs, [-0.2, -0.8], rtol=1e-6)

    def test_pieces_without_a_character_go_to_the_word_that_follows(self) -> None:
        # A lone space mark, and the three bytes of a character of which only the last shows it.
        trace = AttentionTrace(
            "I 龘",
            "x",
            ("▁", "I", "▁", "<E9>", "<BE>", "<98>", "</s>"),
            ("x",),
            ((0, 0), (0, 1), (1, 2), (2, 2), (2, 2), (2, 3), (3, 3)),
            ((0, 1),),
            {"a": [[[0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.37]]]},
            [0.0],
        )
        np.testing.assert_allclose(trace.words().matrix(), [[0.03, 0.60]], rtol=1e-6)

    def test_bytes_of_the_last_character_are_not_taken_for_the_end(self) -> None:
        # Cut off before end-of-sentence: the last token shows a character, so nothing is left out.
        trace = AttentionTrace(
            "龘",
            "x",
            ("<E9>", "<BE>", "<98>"),
            ("x",),
            ((0, 0), (0, 0), (0, 1)),
            ((0, 1),),
            {"a": [[[0.2, 0.3, 0.5]]]},
            [0.0],
        )
        np.testing.assert_allclose(trace.words().matrix(), [[1.0]])

    def test_only_the_last_token_is_the_end(self) -> None:
        # A broken character at the end of the text shows nothing either, and is still no end-of-sentence.
        spans = ((0, 1), (1, 1), (1, 1))
        trace = AttentionTrace(
            "a", "x", ("a", "<E9>", "</s>"), ("x",), spans, ((0, 1),), {"a": [[[0.2, 0.3, 0.5]]]}, [0.0]
        )
        np.testing.assert_allclose(trace.words().matrix(), [[0.5]])

    def test_an_empty_translation_has_no_words(self, tmp_path: Path) -> None:
        trace = AttentionTrace(
            "a", "", ("a", "</s>"), ("</s>",), ((0, 1), (1, 1)), ((0, 0),), {"a": np.ones((2, 1, 2))}, [-1]
        )
        words = trace.words()
        assert words.matrix().shape == (0, 1)
        for name in ("empty.json", "empty.npz"):
            words.save(tmp_path / name)
            assert same(AttentionTrace.load(tmp_path / name), words)

    def test_a_word_no_piece_shows_keeps_a_zero_row_and_column(self) -> None:
        trace = AttentionTrace("a b", "c d", ("a",), ("c",), ((0, 1),), ((0, 1),), {"a": [[[1.0]]]}, [-1.0])
        assert trace.words().matrix().tolist() == [[1, 0], [0, 0]]

    @pytest.mark.parametrize("spans", [[(0, 2), (1, 4)], [(0, 9)], [(-1, 1)]])
    def test_words_that_overlap_or_stand_outside_are_refused(self, spans: list[tuple[int, int]]) -> None:
        with pytest.raises(ValueError, match=r"overlap|outside"):
            tiny_trace().merged(spans, [(0, 1)])

    @given(st.data())
    def test_no_attention_is_lost_except_on_the_end(self, data: st.DataObject) -> None:
        length = data.draw(st.integers(1, 12))
        cuts = sorted({0, length, *data.draw(st.lists(st.integers(0, length)))})
        pieces = [*pairwise(cuts), (length, length)]
        bounds = sorted({0, length, *data.draw(st.lists(st.integers(0, length)))})
        weights = np.random.default_rng(length).dirichlet(np.ones(len(pieces)), size=(3, 2)).astype(np.float32)
        trace = AttentionTrace(
            "x" * length, "yz", ("p",) * len(pieces), ("y", "z"), pieces, ((0, 1), (1, 2)), {"a": weights}, [0, 0]
        )
        merged = trace.merged(list(pairwise(bounds)), [(0, 1), (1, 2)])
        np.testing.assert_allclose(merged.weights["a"].sum(axis=2), 1 - weights[:, :, -1], atol=1e-5)


class TestFiles:
    @pytest.mark.parametrize("name", ["trace.npz", "trace.json", "TRACE.NPZ"])
    def test_what_is_saved_comes_back_bit_for_bit(self, tmp_path: Path, name: str) -> None:
        trace = tiny_trace(source="a\u2028 c")
        trace.save(tmp_path / name)
        assert same(AttentionTrace.load(tmp_path / name), trace)
        assert [path.name for path in tmp_path.iterdir()] == [name]

    @pytest.mark.parametrize("name", ["trace.json", "trace.npz"])
    def test_half_of_a_surrogate_pair_is_kept(self, tmp_path: Path, name: str, make_trace: Any) -> None:
        trace = make_trace("a \ud800 b", "x\udcff 猫")
        trace.save(tmp_path / name)
        loaded = AttentionTrace.load(tmp_path / name)
        assert (loaded.source, loaded.target_tokens) == (trace.source, trace.target_tokens)

    def test_json_is_what_others_can_read(self, tmp_path: Path) -> None:
        tiny_trace().save(tmp_path / "trace.json")
        fields = json.loads((tmp_path / "trace.json").read_text(encoding="utf-8"))
        assert fields["schema"] == 3
        assert fields["candidates"][1] == [["好", 0.25]]
        jsonschema.validate(fields, PUBLISHED)
        assert fields["target_tokens"] == ["猫", "好", "</s>"]
        assert fields["source_spans"][2] == [2, 4]
        assert math.isclose(sum(fields["weights"]["second"][2][1]), 1, abs_tol=1e-6)

    def test_other_endings_are_refused_before_anything_is_written(self, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match=r"\.json or \.npz"):
            tiny_trace().save(tmp_path / "trace.pkl")
        assert not list(tmp_path.iterdir())

    def test_a_failed_save_leaves_the_old_file(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        path = tmp_path / "trace.json"
        tiny_trace().save(path)
        before = path.read_bytes()

        def fail(*_: object) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(Path, "replace", fail)
        with pytest.raises(ResourceError, match="disk full"):
            tiny_trace(source="ab d").save(path)
        assert path.read_bytes() == before
        assert list(tmp_path.iterdir()) == [path]

    @pytest.mark.parametrize(
        ("change", "reason"),
        [
            ({"schema": 4}, "schema 4"),
            ({"candidates": [[["猫", 0.5]]]}, "candidates at 1 places"),
            ({"candidates": [[["猫", 1.5]], [], []]}, "between 0 and 1"),
            ({"candidates": [[[1, 0.5]], [], []]}, "not text"),
            ({"candidates": [["猫"], [], []]}, "not an attention trace"),
            ({"score": "high"}, "score is not a number"),
            ({"score": 1e999}, "score is not finite"),
            ({"schema": None}, "schema None"),
            ({"colour": "red"}, "colour"),
            ({"source": 7}, "source is not text"),
            ({"source_tokens": "abcd"}, "source_tokens is not a list"),
            ({"source_tokens": [1, 2, 3, 4]}, "not text"),
            ({"target_spans": [[0, 1], [1, 2], [2.5, 2]]}, "pair of integers"),
            ({"target_spans": [[0, 1], [1, 2], [2, 2, 2]]}, "pair of integers"),
            ({"weights": [[1.0]]}, "table of layers"),
            ({"weights": {"a": [[[1.0, 2.0], [1.0]]]}}, "not an attention trace"),
            ({"weights": {"a": [[["x"] * 4] * 3]}}, "not an attention trace"),
            ({"weights": {"a": None}}, "not an attention trace"),
            ({"token_log_probs": [0.0]}, "token_log_probs"),
        ],
    )
    def test_a_file_that_contradicts_itself_is_refused(
        self, tmp_path: Path, change: dict[str, object], reason: str
    ) -> None:
        path = tmp_path / "trace.json"
        tiny_trace().save(path)
        path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | change), encoding="utf-8")
        with pytest.raises(DataError, match=reason) as caught:
            AttentionTrace.load(path)
        assert caught.value.file == str(path)

    @pytest.mark.parametrize("field", ["schema", "source", "weights", "token_log_probs"])
    def test_a_missing_field_is_named(self, tmp_path: Path, field: str) -> None:
        path = tmp_path / "trace.json"
        tiny_trace().save(path)
        fields = json.loads(path.read_text(encoding="utf-8"))
        del fields[field]
        path.write_text(json.dumps(fields), encoding="utf-8")
        with pytest.raises(DataError, match=f"no field '{field}'"):
            AttentionTrace.load(path)

    @pytest.mark.parametrize("name", ["bad.json", "bad.npz"])
    @pytest.mark.parametrize("content", [b"", b"[]", b"\xff\xfe", b"PK\x03\x04 cut", b"{" * 50_000, b"[" * 50_000])
    def test_what_is_no_trace_is_refused(self, tmp_path: Path, name: str, content: bytes) -> None:
        (tmp_path / name).write_bytes(content)
        with pytest.raises(DataError, match="not an attention trace"):
            AttentionTrace.load(tmp_path / name)

    def test_a_truncated_or_foreign_archive_is_refused(self, tmp_path: Path) -> None:
        path = tmp_path / "trace.npz"
        tiny_trace().save(path)
        content = path.read_bytes()
        path.write_bytes(content[: len(content) // 2])
        with pytest.raises(DataError, match="not an attention trace"):
            AttentionTrace.load(path)
        np.savez(path, other=np.zeros(3))
        with pytest.raises(DataError, match="no field"):
            AttentionTrace.load(path)

    @pytest.mark.parametrize("array", ["text", "token_log_probs", "weights_0"])
    def test_a_pickle_is_never_opened(self, tmp_path: Path, array: str) -> None:
        path, opened = tmp_path / "trace.npz", tmp_path / "opened"

        class Trap:
            def __reduce__(self) -> tuple[object, ...]:
                return Path.touch, (opened,)

        tiny_trace().save(path)
        arrays = dict(np.load(path)) | {array: np.array([Trap()], dtype=object)}
        np.savez(path, **arrays)
        with pytest.raises(DataError, match="not an attention trace"):
            AttentionTrace.load(path)
        assert not opened.exists()

    def test_a_missing_file_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match="no such file"):
            AttentionTrace.load(tmp_path / "absent.json")
        (tmp_path / "folder.json").mkdir()
        with pytest.raises(DataError, match="cannot be read"):
            AttentionTrace.load(tmp_path / "folder.json")
