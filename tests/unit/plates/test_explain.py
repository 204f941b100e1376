import pytest
from hypothesis import given
from hypothesis import strategies as st

from plates.explain import Verdict, explain
from plates.normal import PlateError

plates = st.text("AB0O18C", min_size=1, max_size=8)


def test_empty_is_refused():
    with pytest.raises(PlateError):
        explain("", "ABC")


def test_the_same_plate():
    told = explain("7abc-123", "7ABC123")
    assert told.exact
    assert told.tolerable
    assert told.sentence == "All 7 characters are the same."


@pytest.mark.parametrize(
    ("read", "entry", "verdicts", "tolerable"),
    [
        ("7ABC12B", "7ABC128", "ssssssl", True),
        ("7ABC123", "7AXC123", "ssdssss", False),
        ("7AC123", "7ABC123", "ssmssss", False),
        ("7ABCC123", "7ABC123", None, False),
        ("ABC", "XYZ", "ddd", False),
    ],
)
def test_verdicts(read, entry, verdicts, tolerable):
    told = explain(read, entry)
    if verdicts:
        assert "".join(step.verdict.value[0] for step in told.steps) == verdicts
    else:
        assert [step.verdict for step in told.steps].count(Verdict.EXTRA) == 1
    assert told.tolerable is tolerable
    assert not told.exact


def test_the_sentence_names_each_difference_with_its_confidence():
    told = explain("0BX1", "OB1", [0.5, 0.9, 0.25, 1.0])
    assert told.sentence == (
        "2 of 4 characters differ: 1: read 0, entry O (look-alike, confidence 50%); "
        "3: read X, which the entry has not (extra, confidence 25%)."
    )
    assert "4: 1 of the entry was not read" in explain("OBX", "OBX1").sentence


def test_one_confidence_a_character():
    with pytest.raises(ValueError, match="confidences were given"):
        explain("ABC", "ABC", [0.5])


@given(plates, plates)
def test_the_steps_spell_both_plates(read, entry):
    told = explain(read, entry, [0.5] * len(read))
    assert "".join(step.read for step in told.steps) == read
    assert "".join(step.entry for step in told.steps) == entry
    assert told.exact == (read == entry) == all(step.verdict is Verdict.SAME for step in told.steps)
    assert all((step.confidence is None) == (step.verdict is Verdict.MISSING) for step in told.steps)
