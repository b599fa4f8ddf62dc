"""Tokens of scripts that the base font lacks: a font of the machine's, else code points, never one sign for two."""

import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from matplotlib import font_manager

from headatlas.data import tokenizer_reading, tokenizer_training
from headatlas.plotting import fonts, style


@pytest.fixture(autouse=True)
def nothing_known(monkeypatch):
    """As in a new process, on a machine with no fonts but those that come with matplotlib."""
    monkeypatch.setattr(fonts, "_found", [])
    monkeypatch.setattr(fonts, "_lacking", [])
    own = [font for font in font_manager.fontManager.ttflist if "matplotlib" in font.fname]
    monkeypatch.setattr(font_manager.fontManager, "ttflist", own)
    for function in (fonts.family_of, fonts._others):
        function.cache_clear()
    yield
    for function in (fonts.family_of, fonts._others):
        function.cache_clear()


def small_font(path, name, characters):
    """A font in which each of the characters is a square."""
    pen = TTGlyphPen(None)
    for place, step in enumerate([(0, 0), (0, 800), (800, 800), (800, 0)]):
        (pen.lineTo if place else pen.moveTo)(step)
    pen.closePath()
    square, names = pen.glyph(), [f"u{ord(character):04X}" for character in characters]
    builder = FontBuilder(1000, isTTF=True)
    builder.setupGlyphOrder([".notdef", *names])
    builder.setupCharacterMap({ord(character): glyph for character, glyph in zip(characters, names, strict=True)})
    builder.setupGlyf(dict.fromkeys([".notdef", *names], square))
    builder.setupHorizontalMetrics(dict.fromkeys([".notdef", *names], (1000, 0)))
    builder.setupHorizontalHeader(ascent=800, descent=-200)
    builder.setupNameTable({"familyName": name, "styleName": "Regular", "psName": name.replace(" ", "")})
    builder.setupOS2(sTypoAscender=800, usWeightClass=400)
    builder.setupPost()
    builder.save(path)
    return font_manager.FontEntry(fname=str(path), name=name, style="normal", weight=400)


def test_code_points_stand_for_what_no_font_has(capsys):
    assert style.printable("中") == "U+4E2D"
    assert style.printable("␣中文", 9) == "␣U+4E2D+6587"
    assert style.printable("the") == "the"
    said = capsys.readouterr().err
    assert said.count("fonts:") == 1
    assert "U+4E2D" in said


@pytest.mark.parametrize("longest", [9, 12, 16])
def test_different_tokens_have_different_signs(longest):
    tokens = ["中", "文", "中文", "文中", "本日", "日本", "한", "글", "한글", "中文書", "中文字", "\u200b", "\u200c"]
    shown = [style.printable(token, longest) for token in tokens]
    assert len(set(shown)) == len(tokens)
    assert not any("�" in text for text in shown)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("token", ["中文", "سلام", "שלום", "नमस्ते", "한글", "ไทย", "🙂", "\u200b", "\ue000", "a\x00b"])
def test_no_token_of_any_script_is_a_row_of_boxes(tmp_path, token):
    """Matplotlib warns of each glyph that it has not, and draws a box."""

    @style.paper
    def figure():
        made = style.blank(3, 2, layout="none")
        made.add_subplot().set(title=style.printable(token), xlabel=f"after {style.printable(token, 9)}")
        return made

    style.save(figure(), tmp_path / "a.png", tmp_path / "a.pdf")


def test_a_box_would_be_warned_of(tmp_path):
    made = style.blank(3, 2, layout="none")
    made.add_subplot().set(title="中文")
    with pytest.warns(UserWarning, match="Glyph .* missing from font"):
        style.save(made, tmp_path / "a.png", tmp_path / "a.pdf")


def test_pieces_of_a_character_are_told_apart():
    """A byte-level tokenizer cuts a Chinese character into bytes."""
    tokenizer = tokenizer_training.train_tokenizer(["中文书"], "byte-level-bpe", 260)
    ids = tokenizer.literal.encode("中文书", add_special_tokens=False).ids
    names = tokenizer_reading.describe_tokens(tokenizer, sorted(set(ids)))
    assert len({style.printable(name, 9) for name in names}) == len(set(ids))


def test_a_font_of_the_machine_is_used_where_it_has_the_character(tmp_path, monkeypatch, capsys):
    entry = small_font(tmp_path / "han.ttf", "Some Han", "中文")
    listed = [*font_manager.fontManager.ttflist, entry]
    monkeypatch.setattr(font_manager.fontManager, "ttflist", listed)

    @style.paper
    def figure():
        made = style.blank(3, 2, layout="none")
        axes = made.add_subplot()
        axes.set_xticks([0, 1], [style.printable("中文"), style.printable("書")])
        return made

    drawn = figure()
    assert [label.get_text() for label in drawn.axes[0].get_xticklabels()] == ["中文", "U+66F8"]
    style.save(drawn, tmp_path / "a.png", tmp_path / "a.pdf")
    assert drawn.axes[0].get_xticklabels()[0].get_family() == [fonts.BASE, "Some Han"]
    assert b"SomeHan" in (tmp_path / "a.pdf").read_bytes()
    assert "drawn in Some Han" in capsys.readouterr().err
