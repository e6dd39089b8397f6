"""Consent: who does not agree to the purpose of a set is in none of its segments, and who takes a yes back leaves them.
Real runs of the sample, whose sets `cart` and `rfm` are for personalisation."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import pytest
from conftest import Run
from segment_files import read_sets

AGREE, WITHDRAWN, ELSEWHERE = "personalisation", "took it back", "advertising"


@pytest.fixture(scope="module")
def runs(project, dbt, tmp_path_factory) -> tuple[Run, Run, Run, dict[str, set[str]]]:
    """Three runs: without consents, with them, and a day later, when some had taken theirs back, these two with all
    tests of the data; and who said what."""
    place = tmp_path_factory.mktemp("consents")
    raw = Path(shutil.copytree(project / "seeds" / "sample", place / "raw"))
    before = dbt("run", "--select", "+fct_segment_membership", env={"RAW_DATA": raw, "AS_OF": "2024-06-28"})
    assert before.code == 0, before.output
    (scored,) = [
        sorted(
            user
            for (user,) in before.rows(
                "select user_id from marts.fct_segment_membership "
                "where segment_set = 'rfm' and user_id not like 'anon:%'"
            )
        )
    ]
    said = {AGREE: set(scored[::2]), WITHDRAWN: set(scored[::4]), ELSEWHERE: set(scored[1::2])}
    words = [(user, "personalisation", "true", "2024-06-01") for user in sorted(said[AGREE])]
    words += [(user, "personalisation", "false", "2024-06-29 12:00:00") for user in sorted(said[WITHDRAWN])]
    words += [(user, "advertising", "true", "2024-06-01") for user in sorted(said[ELSEWHERE])]
    with (raw / "consents.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("user_id", "purpose", "granted", "at"), *words])
    # Unit tests bring their own rows: they say nothing of these.
    command = ("build", "--exclude-resource-type", "unit_test")
    warehouses = [place / name / "warehouse.duckdb" for name in ("first", "second")]
    for warehouse in warehouses:
        warehouse.parent.mkdir()
    first = dbt(*command, env={"RAW_DATA": raw, "AS_OF": "2024-06-28", "WAREHOUSE": warehouses[0]})
    assert first.code == 0, first.output
    shutil.copy(*warehouses)
    second = dbt(*command, env={"RAW_DATA": raw, "AS_OF": "2024-06-29", "WAREHOUSE": warehouses[1]})
    assert second.code == 0, second.output
    return before, first, second, said


def members(run: Run, sets: str = "('rfm')") -> set[str]:
    return {
        user
        for (user,) in run.rows(
            f"select distinct user_id from marts.fct_segment_membership where segment_set in {sets}"
        )
    }


def test_without_an_input_of_consents_nobody_is_left_out(runs):
    before, _, _, said = runs
    assert said[AGREE] | said[ELSEWHERE] <= members(before)


def test_members_are_those_who_agree_to_this_purpose(runs):
    _, first, _, said = runs
    assert members(first) == said[AGREE]
    assert members(first, "('cart')") <= said[AGREE]
    # Sets without a purpose are everybody's.
    assert members(first, "('lifecycle')") > said[ELSEWHERE]


def test_a_withdrawal_is_visible_as_left(runs):
    _, _, second, said = runs
    assert not members(second, "('rfm', 'cart')") & said[WITHDRAWN]
    left = second.rows(
        "select distinct user_id from marts.fct_segment_membership_history "
        "where segment_set = 'rfm' and valid_to = date '2024-06-29' and user_id not in "
        "(select user_id from marts.fct_segment_membership where segment_set = 'rfm')"
    )
    assert {user for (user,) in left} == said[WITHDRAWN]
    (counted,) = second.rows(
        "select sum(members_left) >= 1 from marts.fct_segment_daily "
        "where segment_set = 'rfm' and as_of_date = date '2024-06-29'"
    )
    assert counted == (True,)


def test_dim_users_tells_nothing_of_those_who_do_not_agree(runs):
    _, first, _, said = runs
    told = {user for (user,) in first.rows("select user_id from marts.dim_users where rfm is not null")}
    assert told == said[AGREE]


def test_a_share_is_of_those_who_agree(runs):
    _, first, second, _ = runs
    for run in (first, second):
        ((total,),) = run.rows(
            "select sum(share) from marts.fct_segment_daily where segment_set = 'rfm' "
            "and as_of_date = (select max(as_of_date) from marts.fct_segment_daily)"
        )
        assert total == pytest.approx(1)


@pytest.mark.parametrize("purpose", ["Analytics", "'two words'", "''", "[a, b]", "null"])
def test_a_purpose_is_one_lower_case_word(project, tmp_path, purpose):
    shutil.copytree(project / "models", tmp_path / "models")
    shutil.copy(project / "dbt_project.yml", tmp_path)
    file = tmp_path / "models" / "segments" / "_seg_cart.yml"
    file.write_text(file.read_text().replace("purpose: personalisation", f"purpose: {purpose}"))
    sets, errors = read_sets(tmp_path)
    assert len(errors) == 1 and "_seg_cart.yml: segment_set.purpose is" in errors[0], errors
    assert "cart" not in {found.name for found in sets}
