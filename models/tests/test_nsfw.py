from __future__ import annotations

import pytest

from inyeon_models import nsfw
from inyeon_models.errors import SourceError

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ({"a/group1-shard1of1.min.js": b"x"}, "no model.min.js"),
        ({"a/model.min.js": b'x.exports="text"'}, "exports no object"),
        ({"a/model.min.js": b"\xff\xfe"}, "not UTF-8"),
        ({"a/model.min.js": b"x.exports={}"}, "weightsManifest"),
    ],
)
def test_a_package_that_is_not_what_it_was_is_refused(
    members: dict[str, bytes], reason: str
) -> None:
    with pytest.raises(SourceError, match=reason):
        nsfw.convert(members, (), {})
