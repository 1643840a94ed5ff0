from collections import Counter
from datetime import UTC, datetime

import pytest
from genai_prices import Usage, calc_price

from schemas.errors import UserError
from streams.traffic.roster import Roster, load_roster
from streams.traffic.roster_file import parse_roster, read_roster_file

SMALL = """
salt: {salt}
models: [{{provider: openai, model: gpt-4o-mini}}]
teams:
  - team: north
    department: sales
    weight: 3
    users: [ann, bob]
    applications: [desk]
    use_cases: [answers]
    environments: {{production: 9, staging: 1}}
  - team: south
    department: sales
    weight: 1
    users: 2
    applications: [desk]
    use_cases: [answers]
    environments: [production]
    models: [{{provider: anthropic, model: claude-haiku-4-5, weight: 2}}]
"""


def small(salt: str = "one") -> Roster:
    return Roster(parse_roster(SMALL.format(salt=salt).encode(), "r.yaml"))


def test_a_row_is_always_dealt_to_the_same_names() -> None:
    first, second = small(), small()
    rows = range(1, 500)
    assert [first.assign(n) for n in rows] == [second.assign(n) for n in reversed(rows)][::-1]


def test_another_salt_deals_the_rows_differently() -> None:
    one, two = small("one"), small("two")
    assert [one.assign(n) for n in range(50)] != [two.assign(n) for n in range(50)]


def test_teams_and_environments_are_chosen_by_weight() -> None:
    roster = small()
    dealt = [roster.assign(n) for n in range(4000)]
    teams = Counter(a.team for a in dealt)
    assert teams["north"] / 4000 == pytest.approx(0.75, abs=0.03)
    staging = sum(a.environment == "staging" for a in dealt if a.team == "north")
    assert staging / teams["north"] == pytest.approx(0.10, abs=0.03)


def test_a_count_of_users_makes_names_and_a_list_gives_them() -> None:
    roster = small()
    dealt = [roster.assign(n) for n in range(400)]
    assert {a.user for a in dealt if a.team == "south"} == {"south-user-1", "south-user-2"}
    assert {a.user for a in dealt if a.team == "north"} == {"ann", "bob"}


def test_a_teams_own_models_replace_the_shared_ones() -> None:
    roster = small()
    dealt = [roster.assign(n) for n in range(400)]
    assert {(a.team, a.provider, a.model) for a in dealt} == {
        ("north", "openai", "gpt-4o-mini"),
        ("south", "anthropic", "claude-haiku-4-5"),
    }


@pytest.mark.parametrize(
    "at", [datetime(2023, 11, 16, tzinfo=UTC), datetime(2026, 11, 1, tzinfo=UTC)]
)
def test_every_model_of_the_shipped_roster_has_prices_for_each_bucket(at: datetime) -> None:
    roster = read_roster_file()
    entries = roster.models + [model for team in roster.teams for model in team.models]
    assert len({entry.provider for entry in entries}) >= 5
    for entry in entries:
        price = calc_price(
            Usage(input_tokens=1000, cache_read_tokens=400, output_tokens=10),
            entry.model,
            provider_id=entry.provider,
            genai_request_timestamp=at,
        )
        assert price.total_price > 0, entry
        assert price.model_price.cache_read_mtok is not None, entry


def test_the_shipped_roster_deals_every_team() -> None:
    roster = load_roster()
    dealt = {roster.assign(n).team for n in range(1000)}
    assert dealt == {entry.team for entry in read_roster_file().teams}
    assert len(dealt) == 8


TEAM = """
teams:
  - {team: a, department: d, users: 1, applications: [x], use_cases: [y], environments: [z]%s}
"""
MODELS = "models: [{provider: p, model: m}]"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("teams: [", "r.yaml:1: not YAML: "),
        ("salt: 2026-13-45", "r.yaml:1: teams: is missing"),
        ("[" * 400, "r.yaml:1: not YAML: expected the node content"),
        ("- a", "r.yaml:1: a roster is a mapping with the keys teams and models"),
        ("models: []", "r.yaml:1: teams: is missing"),
        ("teams: []", "r.yaml:1: teams: List should have at least 1 item"),
        (TEAM % ", wieght: 2", "r.yaml:3: teams[0] (a).wieght: is no key of a team"),
        (TEAM % ", weight: 0", "r.yaml:3: teams[0] (a).weight: Input should be greater than"),
        (TEAM % ", weight: 1.5", ":3: teams[0] (a).weight: is '1.5'; expected a whole"),
        (TEAM % "", "r.yaml:3: teams[0] (a): 'a' has no models; list them here"),
        (
            MODELS + TEAM.replace("[x]", "[x, x]") % "",
            ":3: teams[0] (a).applications: a name is listed",
        ),
        (
            MODELS + TEAM.replace("users: 1", "users: yes") % "",
            "r.yaml:3: teams[0] (a).users: is 'yes'",
        ),
        (MODELS + TEAM.replace("team: a", "team: ' '") % "", "r.yaml:3: teams[0] ( ).team: String"),
        (
            MODELS + TEAM % "" + (TEAM % "").split("\n")[2],
            ":4: teams[1] (a).team: 'a' is there already",
        ),
        ("salt: é\n" + MODELS + TEAM % "", "r.yaml:1: salt: String should match"),
    ],
)
def test_a_wrong_roster_is_one_line_with_file_and_place(text: str, message: str) -> None:
    with pytest.raises(UserError) as raised:
        parse_roster(text.encode(), "r.yaml")
    assert message in str(raised.value)
    assert str(raised.value).startswith("r.yaml")
    assert "\n" not in str(raised.value)


def test_a_missing_roster_names_its_path(tmp_path) -> None:
    with pytest.raises(UserError, match=r"nobody\.yaml: No such file or directory; give"):
        load_roster(tmp_path / "nobody.yaml")
