import time

import pytest

from eucabox.image import strict_xml

RAW = b"<?xml version='1.0'?>\n<a><b x='1'>t<!-- no --><c/>u</b><b>&amp;</b><d> e </d ></a>"


def test_knows_where_each_element_stands() -> None:
    root = strict_xml.parse(RAW)
    first, second = root.all("b")
    assert RAW[first.start : first.end] == b"<b x='1'>t<!-- no --><c/>u</b>"
    assert RAW[second.start : second.end] == b"<b>&amp;</b>"
    last = root.find("d")
    assert last is not None
    assert RAW[last.start : last.end] == b"<d> e </d >"
    assert (first.attributes, first.text, second.text) == ({"x": "1"}, "tu", "&")


def test_finds_by_a_path() -> None:
    root = strict_xml.parse(RAW)
    assert root.find("nothing") is None
    assert root.find("d", "nothing") is None
    with pytest.raises(strict_xml.XmlError, match="2 elements b"):
        root.find("b", "c")


@pytest.mark.not_fast
def test_two_mib_of_text_between_elements_are_read_in_linear_time() -> None:
    started = time.process_time()  # whatever else the host does
    root = strict_xml.parse(b"<r>" + b"a<b/>" * 199_000 + b"</r>")
    assert len(root.text) == 199_000
    assert time.process_time() - started < 5


@pytest.mark.parametrize("piece", [b"a<b/>", b"<b></b>", b'<b x="1"/>'])
def test_more_elements_than_any_manifest_has_are_refused_unread(piece: bytes) -> None:
    with pytest.raises(strict_xml.XmlError, match="more than 400000 times"):
        strict_xml.parse(b"<r>" + piece * 500_000 + b"</r>")


@pytest.mark.parametrize("raw", [b"", b"<a>", b"<a/><b/>", b"<a>&x;</a>", b"\xff\xfe"])
def test_what_is_no_xml_is_told(raw: bytes) -> None:
    with pytest.raises(strict_xml.XmlError, match="not well-formed"):
        strict_xml.parse(raw)


@pytest.mark.parametrize("name", [b"ASSII", b"gb2312", b"rot13", b"undefined", b"x" * 5000])
def test_an_encoding_that_is_not_known_is_told(name: bytes) -> None:
    with pytest.raises(strict_xml.XmlError, match="encoding that is not known"):
        strict_xml.parse(b"<?xml version='1.0' encoding='" + name + b"'?><a/>")
