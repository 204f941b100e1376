import pytest

from plates.states import BY_CODE, STATES, UNKNOWN, StateError, parse_state


@pytest.mark.parametrize("text", ["", " ", "unknown", "Unknown"])
def test_nothing_given_is_unknown(text):
    assert parse_state(text) is UNKNOWN
    assert not UNKNOWN.known


def test_fifty_states_the_district_and_five_territories():
    assert len(STATES) == 56
    assert len(BY_CODE) == 57


@pytest.mark.parametrize("state", STATES, ids=lambda state: state.code)
def test_code_and_name_in_any_case_give_the_state(state):
    for text in (state.code, state.code.lower(), f"US-{state.code}", state.name, state.name.upper()):
        assert parse_state(text) is state
    assert state.known


@pytest.mark.parametrize("text", ["Kalifornien", "ZZ", "C A L", "US-", "12"])
def test_anything_else_is_refused_not_guessed(text):
    with pytest.raises(StateError, match="two-letter code"):
        parse_state(text)
