"""No name without a call: what has been built is called by a test of this folder, which looks at what it does."""

from __future__ import annotations

import pytest
from recorded_calls import BUILT, CALLED


def test_every_callable_that_is_built_has_been_called_by_a_test_of_the_contract(request: pytest.FixtureRequest) -> None:
    config = request.config
    narrowed = config.getoption("keyword") or any(".py" in argument for argument in config.args)
    if narrowed:
        pytest.skip("only some of the tests have run")
    assert sorted(set(BUILT.values()) - CALLED) == []
