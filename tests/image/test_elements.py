import pytest

from eucabox.image import elements

RAW = b"<?xml version='1.0'?>\n<a><b x='1'>t<!-- no --><c/>u</b><b>&amp;</b><d> e </d ></a>"


def test_knows_where_each_element_stands() -> None:
    root = elements.parse(RAW)
    first, second = root.all("b")
    assert RAW[first.start : first.end] == b"<b x='1'>t<!-- no --><c/>u</b>"
    assert RAW[second.start : second.end] == b"<b>&amp;</b>"
    last = root.find("d")
    assert last is not None
    assert RAW[last.start : last.end] == b"<d> e </d >"
    assert (first.attributes, first.text, second.text) == ({"x": "1"}, "tu", "&")


def test_finds_by_a_path() -> None:
    root = elements.parse(RAW)
    assert root.find("nothing") is None
    assert root.find("d", "nothing") is None
    with pytest.raises(elements.XmlError, match="2 elements b"):
        root.find("b", "c")


@pytest.mark.parametrize("raw", [b"", b"<a>", b"<a/><b/>", b"<a>&x;</a>", b"\xff\xfe"])
def test_what_is_no_xml_is_told(raw: bytes) -> None:
    with pytest.raises(elements.XmlError, match="not well-formed"):
        elements.parse(raw)
